// I-ViT's shift-based exponential. docs/numerics.md section 5.5.
//
// Source: I-ViT (Li and Gu, ICCV 2023, arXiv:2207.01405), int_exp_shift of its quant_modules.py,
// shared by its Shiftmax (n = 15) and its GELU (n = 23).
#pragma once

#include <cstdint>

namespace qsim::golden {

// What ShiftExp returns instead of anything larger.
inline constexpr std::int64_t kShiftExpCap = std::int64_t{1} << 62;

// Throws std::invalid_argument unless x0 <= -1 and 0 <= n <= 30; then |x0| 2^n <= 2^61.
void CheckShiftExp(std::int32_t x0, int n);

// The exponential of `x` in units of 1 / (|x0| 2^n), where x0 = floor(-1 / s) stands for -1:
//
//   d = x + (x >> 1) - (x >> 4);  d = max(d, n x0);  q = floor(d / x0);  r = d - q x0
//   max(0, ((r - 2 x0) << (n - q)) >> 1)
//
// x0 and n as CheckShiftExp says, |x| <= 2^60 (std::invalid_argument beyond; x0 and n themselves
// are the caller's to check once). x <= 0: exact, in 1 .. |x0| 2^n. x > 0: q is negative and the
// exact value passes any width, so min(exact, kShiftExpCap) is returned; a caller that clamps to
// less, as both of I-ViT's sums do, sees no difference.
std::int64_t ShiftExp(std::int64_t x, std::int32_t x0, int n);

}  // namespace qsim::golden
