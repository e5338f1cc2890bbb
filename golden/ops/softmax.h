// Integer softmax over one row of scores. docs/numerics.md section 5.
//
// A zero point of the scores cancels (only x - rowmax is used), so none is passed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace qsim {

//   kIbert    I-BERT (Kim et al., ICML 2021), output uint8, scale 2^-8, last step floored.
//   kIbertRn  the same exponential; last step rounded half up and saturated at 255, scale 2^-(8+j).
//   kLogInt   FQ-ViT's log-int-softmax (Lin et al., IJCAI 2022): a 4-bit code, or 16 for zero.
enum class SoftmaxKind : std::uint8_t { kIbert, kIbertRn, kLogInt };
std::string_view Name(SoftmaxKind kind);  // "ibert", "ibert_rn", "log_int"
std::optional<SoftmaxKind> SoftmaxKindFromName(std::string_view name);

// The integer exponential that all three share: polynomial constants of a score scale s.
//   x0 = floor(-0.6931 / s) < 0, b = floor(2.70731.. / s), c = floor(2.79211.. / s^2), n = 30.
// Ranges: -2^20 <= x0 <= -1, -(x0 + 1) <= b < 2^23, 1 <= c < 2^32, 0 <= n <= 30, so that every
// exponential lies in 0 .. c << n < 2^62.
struct IbertExp {
  std::int32_t x0 = -1;
  std::int64_t b = 0;
  std::int64_t c = 0;
  int n = 30;
  bool operator==(const IbertExp&) const = default;
};

struct SoftmaxParams {
  SoftmaxKind kind = SoftmaxKind::kIbertRn;
  IbertExp exp = {};
  // exp16 = clamp(half_even(exp * act16_multiplier / 2^act16_shift), -32768, 32767); ibert,
  // ibert_rn. act16_multiplier in 2^30 .. 2^31 - 1 (or 0 when unused), act16_shift in 0..126;
  // together they turn c << n, the exponential of every row's maximum, into at least 1.
  std::int64_t act16_multiplier = 0;
  int act16_shift = 0;
  int extra_bits = 0;  // j of ibert_rn: output scale 2^-(8+j), 0..7. Others: 0.
  int code_bits = 4;   // log_int only, 1..8
  bool operator==(const SoftmaxParams&) const = default;
};

// Optional intermediates, for conformance and for tests. Each is empty or as long as the row.
struct SoftmaxTrace {
  std::span<std::int64_t> exp_int = {};
  std::span<std::int32_t> exp16 = {};
};

// The largest row for which every intermediate is proven to fit.
inline constexpr std::int64_t kMaxSoftmaxRow = 65536;

// scores: a row of 1..kMaxSoftmaxRow values, of any width up to 32 bits. out: uint8 range (kIbert,
// kIbertRn) or codes 0..2^code_bits (kLogInt). Returns how many elements saturated at 255.
// Throws std::invalid_argument where a size or parameter is out of its range.
std::int64_t Softmax(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                     std::span<std::int32_t> out, const SoftmaxTrace& trace = {});

}  // namespace qsim
