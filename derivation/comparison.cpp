#include "derivation/comparison.h"

#include <algorithm>
#include <array>
#include <vector>

namespace qsim::derivation {
namespace {

// Little-endian bytes, whatever the machine.
std::array<std::uint8_t, 8> BytesOf(std::int64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  auto bits = static_cast<std::uint64_t>(value);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(bits & 0xff);
    bits >>= 8;
  }
  return bytes;
}

}  // namespace

std::int64_t Comparison::Between(std::int64_t lo, std::int64_t hi) {
  const std::uint64_t span = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
  const std::uint64_t draw = span == 0 ? engine_() : engine_() % span;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(lo) + draw);
}

std::int64_t Comparison::Corner(std::int64_t lo, std::int64_t hi) {
  switch (Between(0, 7)) {
    case 0:
      return lo;
    case 1:
      return hi;
    case 2:
      return std::clamp<std::int64_t>(Between(-1, 1), lo, hi);
    case 3: {
      const std::int64_t power = std::int64_t{1} << Between(0, 61);
      const std::int64_t near = power + Between(-1, 1);
      return std::clamp(Between(0, 1) == 0 ? near : -near, lo, hi);
    }
    default:
      return Between(lo, hi);
  }
}

void Comparison::Check(std::int64_t golden, std::int64_t derived, const Describe& describe) {
  const std::array<std::uint8_t, 8> bytes = BytesOf(golden);
  hash_.Update(bytes.data(), bytes.size());
  ++compared_;
  if (golden == derived) return;
  if (mismatches_++ == 0) {
    first_mismatch_ =
        describe() + ": golden " + std::to_string(golden) + ", derived " + std::to_string(derived);
  }
}

void Comparison::Check(std::span<const std::int32_t> golden, std::span<const std::int64_t> derived,
                       const Describe& describe) {
  const std::vector<std::int64_t> wide(golden.begin(), golden.end());
  Check(std::span<const std::int64_t>(wide), derived, describe);
}

void Comparison::Check(std::span<const std::int64_t> golden, std::span<const std::int64_t> derived,
                       const Describe& describe) {
  Check(static_cast<std::int64_t>(golden.size()), static_cast<std::int64_t>(derived.size()),
        [&] { return describe() + ", number of elements"; });
  for (std::size_t i = 0; i < std::min(golden.size(), derived.size()); ++i) {
    Check(golden[i], derived[i], [&] { return describe() + ", element " + std::to_string(i); });
  }
}

}  // namespace qsim::derivation
