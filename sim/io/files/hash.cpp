#include "sim/io/files/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <new>
#include <vector>

#include "sim/io/files/input_file.h"
#include "sim/namespaces.h"

namespace qsim::io {
namespace {

void Require(bool done) {
  if (!done) throw std::bad_alloc();  // SHA-256 of memory fails for no other reason
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() {
  // What the machine's openssl.cnf says is not read: nothing of it concerns a plain hash.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  context_.reset(EVP_MD_CTX_new());
  Require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::Update(const void* data, std::size_t bytes) {
  Require(EVP_DigestUpdate(context_.get(), data, bytes) == 1);
}

std::string Sha256::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Require(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15u];
  }
  return hex;
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

std::string Sha256HexOfFile(const std::filesystem::path& path) {
  const InputFile file(path);
  Sha256 hash;
  std::vector<char> buffer(1 << 16);
  for (std::uint64_t offset = 0; offset < file.size();) {
    const std::size_t chunk = std::min<std::uint64_t>(buffer.size(), file.size() - offset);
    file.ReadAt(offset, buffer.data(), chunk);
    hash.Update(buffer.data(), chunk);
    offset += chunk;
  }
  return hash.Finish();
}

}  // namespace qsim::io
