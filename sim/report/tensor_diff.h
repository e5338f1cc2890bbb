// Element by element comparison of tensor files and directories of them. docs/outputs.md, "qsim
// diff".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/config/contract.h"

namespace qsim::report {

struct FirstDifference {
  std::vector<std::int64_t> index;
  std::string a, b;  // decimal; floats with 9 (double: 17) significant digits
  std::string a_hex,
      b_hex;  // two's complement (or the float's bits) at the tensor's width, "0x..."
};

// Differences b - a that fall into [low, high]; low == high for exact values.
struct HistogramBin {
  std::int64_t low = 0;
  std::int64_t high = 0;
  std::int64_t count = 0;
};

struct TensorDiff {
  enum class Kind : std::uint8_t { kEqual, kValues, kShape, kDtype, kOnlyInA, kOnlyInB };
  Kind kind = Kind::kEqual;
  std::string name;  // relative to the directories; the file's name when two files are compared
  std::string a_dtype, b_dtype;
  Shape a_shape, b_shape;
  // Of kEqual and kValues:
  std::int64_t elements = 0;
  std::int64_t differing = 0;
  std::optional<FirstDifference> first;
  // Integers only: exact bins for -3..3, power-of-two bins beyond, empty bins left out, ascending.
  // Floats have none: a difference of bits has no unit.
  std::vector<HistogramBin> histogram;
};

struct DiffResult {
  std::string a, b;  // the two paths as given
  // Numerics contracts, where contract.yaml lies in or beside both directories; else empty.
  std::string a_contract, b_contract;
  std::vector<ContractDifference> contracts;
  std::vector<TensorDiff> tensors;  // every tensor of either side, by name
  std::int64_t elements = 0;        // compared, over tensors of equal shape and dtype
  std::int64_t compared() const;    // tensors present on both sides
  std::int64_t differing() const;   // tensors that are not kEqual
};

// Two files, or two directories searched recursively for tensor files, paired by relative name,
// whatever the format. Everything else in them is ignored. Throws InputError for a missing,
// unreadable or corrupt file, for a file against a directory, and when neither directory holds a
// tensor.
DiffResult DiffPaths(const std::filesystem::path& a, const std::filesystem::path& b);

// Text in 80 columns; at most `max_listed` differing tensors in detail, 0 for all. Under different
// contracts the choices that differ are listed instead: tensors only with `tensors_anyway`.
std::string FormatDiff(const DiffResult& result, std::int64_t max_listed = 0,
                       bool tensors_anyway = false);

// The whole result, whatever the limit of the text.
std::string DiffJsonText(const DiffResult& result);

}  // namespace qsim::report
