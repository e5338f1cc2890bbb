// The second derivation of every operation: the published equations once more, in arbitrary
// precision (GMP integers and rationals), written from docs/numerics.md and sharing no code with
// golden/. A battery runs one golden operation and its derivation on corner lists, ties and random
// inputs. The tests and `qsim selftest` run the same batteries.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "sim/io/files/hash.h"
#include "sim/namespaces.h"

namespace qsim::derivation {

// What a battery draws from and reports to. Everything that enters the digest is integer, so that
// the digest is the same for every compiler, build type and instruction set.
class Comparison {
 public:
  explicit Comparison(std::uint64_t seed) : engine_(seed) {}

  // Uniform in [lo, hi]; own reduction, so that every standard library draws the same numbers.
  std::int64_t Between(std::int64_t lo, std::int64_t hi);
  // Mostly uniform in [lo, hi]; sometimes an end, 0, +-1 or a power of two +-1 within it.
  std::int64_t Corner(std::int64_t lo, std::int64_t hi);

  // One element or one row. `describe` is called for the first mismatch only: inputs and
  // parameters, for a person to repeat it.
  using Describe = std::function<std::string()>;
  void Check(std::int64_t golden, std::int64_t derived, const Describe& describe);
  void Check(std::span<const std::int32_t> golden, std::span<const std::int64_t> derived,
             const Describe& describe);
  void Check(std::span<const std::int64_t> golden, std::span<const std::int64_t> derived,
             const Describe& describe);

  std::int64_t compared() const { return compared_; }
  std::int64_t mismatches() const { return mismatches_; }
  const std::string& first_mismatch() const { return first_mismatch_; }
  // SHA-256 of every golden value in order. The object must not be used afterwards.
  std::string Digest() { return hash_.Finish(); }

 private:
  std::mt19937_64 engine_;
  std::int64_t compared_ = 0;
  std::int64_t mismatches_ = 0;
  std::string first_mismatch_;
  Sha256 hash_;
};

struct Battery {
  std::string_view operation;  // "requantize"
  std::string_view scheme;     // "tflite_double_rounding"
  void (*run)(Comparison&);    // a second or less in a release build
};

// By kind of operation.
std::span<const Battery> RoundingBatteries();    // round_shift, round_divide, gemm, residual_add
std::span<const Battery> RequantizeBatteries();  // and matmul with requantize
std::span<const Battery> SoftmaxBatteries();
std::span<const Battery> LayernormBatteries();
std::span<const Battery> RmsnormBatteries();
std::span<const Battery> GeluBatteries();
std::span<const Battery> RowBatteries();       // row_sum, row_divide
std::span<const Battery> SequenceBatteries();  // table, causal_conv, recurrence
// The fast kernels of every operation, which are derived from the specification.
std::span<const Battery> KernelBatteries();

}  // namespace qsim::derivation
