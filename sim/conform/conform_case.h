// One external test case: a folder with case.json and .npy tensors, whose expected outputs another
// project's own code computed. docs/formats.md, "Conformance cases".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/io/tensors/npy.h"

namespace qsim::conform {

// What an integer of a case may be, where its algorithm says no less.
inline constexpr std::int64_t kInt32Min = INT32_MIN;
inline constexpr std::int64_t kInt32Max = INT32_MAX;

using CaseTensors = std::map<std::string, ExactTensor>;

// Every accessor throws InputError naming the file and the key or tensor.
class ConformCase {
 public:
  // Reads case.json and every tensor it lists.
  static ConformCase Load(const std::filesystem::path& dir);

  const std::filesystem::path& dir() const { return dir_; }
  const std::string& op() const { return op_; }
  const std::string& algorithm() const { return algorithm_; }
  const std::string& source() const { return source_; }
  const nlohmann::json& params() const { return params_; }

  // params.<key>: an integer in lo..hi. The second form: `fallback` where the key is absent.
  std::int64_t Param(std::string_view key, std::int64_t lo, std::int64_t hi) const;
  std::int64_t ParamOr(std::string_view key, std::int64_t fallback, std::int64_t lo,
                       std::int64_t hi) const;
  // One integer, or an array of integers: one entry or several.
  std::vector<std::int64_t> ParamList(std::string_view key, std::int64_t lo, std::int64_t hi) const;
  bool Flag(std::string_view key, bool fallback) const;
  bool HasParam(std::string_view key) const;

  bool HasInput(std::string_view name) const;
  const IntTensor& Input(std::string_view name) const;
  // Its values, checked to lie in lo..hi.
  std::vector<std::int64_t> InputValues(std::string_view name, std::int64_t lo = INT64_MIN,
                                        std::int64_t hi = INT64_MAX) const;
  std::vector<std::int32_t> InputValues32(std::string_view name) const;
  const DoubleTensor& RealInput(std::string_view name) const;
  const CaseTensors& inputs() const { return inputs_; }
  const CaseTensors& outputs() const { return outputs_; }
  // The expected integers of an output, for its shape and type.
  const IntTensor& Output(std::string_view name) const;
  bool HasOutput(std::string_view name) const;

  // Throws InputError "<dir>/case.json: <what>".
  // Throws InputError where a result of so many elements is more than such a case is for.
  void CheckSize(std::int64_t rows, std::int64_t columns) const;
  [[noreturn]] void Reject(const std::string& what) const;

 private:
  std::filesystem::path dir_;
  std::string op_, algorithm_, source_;
  nlohmann::json params_;
  CaseTensors inputs_, outputs_;
};

// int64 values as a tensor.
IntTensor MakeCaseTensor(Shape shape, std::vector<std::int64_t> values);
IntTensor MakeCaseTensor(Shape shape, std::span<const std::int32_t> values);

// The last axis, and how many rows of it a tensor has; leading axes are independent.
struct RowShape {
  std::int64_t rows = 1;
  std::int64_t width = 1;
};
RowShape RowsOf(const Shape& shape);

}  // namespace qsim::conform
