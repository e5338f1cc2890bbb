// SHA-256, by OpenSSL, which uses the instructions that the machine has for it: the identity of
// configurations, weights, files and what is kept of a run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace qsim::io {

class Sha256 {
 public:
  Sha256();
  void Update(const void* data, std::size_t bytes);
  void Update(std::string_view text) { Update(text.data(), text.size()); }
  // 64 lower-case hexadecimal digits. The object must not be used afterwards.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string Sha256Hex(std::string_view bytes);
// Throws InputError when the file cannot be read.
std::string Sha256HexOfFile(const std::filesystem::path& path);

}  // namespace qsim::io
