// SHA-256, FIPS 180-4: the identity of configurations, weights and contracts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace qsim::io {

class Sha256 {
 public:
  Sha256();
  void Update(const void* data, std::size_t bytes);
  void Update(std::string_view text) { Update(text.data(), text.size()); }
  // 64 lower-case hexadecimal digits. The object must not be used afterwards.
  std::string Finish();

 private:
  void Compress(const std::uint8_t* block);

  std::array<std::uint32_t, 8> state_;
  std::array<std::uint8_t, 64> block_{};
  std::uint64_t bytes_ = 0;
};

std::string Sha256Hex(std::string_view bytes);
// Throws InputError when the file cannot be read.
std::string Sha256HexOfFile(const std::filesystem::path& path);

}  // namespace qsim::io
