// What the operations' own checks are written with: each throws ProgramError that names the
// operation. golden/program/ops.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden/program/accumulator_proof.h"
#include "golden/program/program.h"

namespace qsim::golden {

inline constexpr std::int64_t kMaxDepth = 65535;
inline constexpr std::int64_t kMaxChannels = 65536;
inline constexpr std::int32_t kMaxZero = 1 << 16;

class Checker {
 public:
  Checker(const Program& program, std::string where)
      : program_(program), where_(std::move(where)) {}

  const Program& program() const { return program_; }
  const TensorInfo& Tensor(const std::string& name) const { return program_.Tensor(name); }

  void Require(bool condition, const std::string& what) const;
  void RequireShape(const std::string& name, const Shape& shape) const;
  void RequireNarrow(const std::string& name) const;
  // One entry, or one for each channel.
  void RequireCount(std::size_t count, std::int64_t channels, const std::string& what) const;
  void RequireWithin(const std::vector<std::int32_t>& values, std::int32_t lo, std::int32_t hi,
                     const std::string& what) const;
  void RequireScales(const std::vector<Multiplier>& scales, std::int64_t channels) const;
  // Beside a sum of squares that is counted in units of 4^shift.
  void RequireEps(std::int64_t eps, int shift) const;
  // For what moves data only.
  void RequireSameCodes(const std::string& input, const std::string& output) const;
  // One entry for each code of the input, within the output's range.
  void RequireTable(const std::vector<std::int32_t>& table, const std::string& input,
                    const std::string& output) const;
  // The output holds what the accumulator can, and under policy error the worst case fits.
  void RequireAccumulator(const Accumulator& acc, const std::string& output) const;
  void RequireFits(const AccumulatorProof& proof) const;

  // golden/ops checks its own parameters; here that becomes an error of the program.
  template <typename Check>
  void RequireLegal(Check check) const {
    try {
      check();
    } catch (const std::invalid_argument& error) {
      Require(false, error.what());
    }
  }

 private:
  const Program& program_;
  std::string where_;
};

}  // namespace qsim::golden
