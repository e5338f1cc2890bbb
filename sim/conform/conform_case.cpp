#include "sim/conform/conform_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/json_text.h"
#include "sim/io/files/limits.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/printable.h"

namespace qsim::conform {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxCaseBytes = std::uint64_t{16} << 20;

// A wrong type is reported by key, where nlohmann's own message names none.
std::string TextOf(const ConformCase& c, const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    c.Reject(fmt::format("'{}' is missing or is not text", key));
  }
  return found->get<std::string>();
}

CaseTensors ReadTensors(const ConformCase& c, const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) {
    c.Reject(fmt::format("'{}' is missing or is not an object of tensor names and files", key));
  }
  CaseTensors tensors;
  for (const auto& [name, file] : found->items()) {
    if (!file.is_string()) c.Reject(fmt::format("{}.{} is not a file name", key, Printable(name)));
    tensors.emplace(name, ReadExactNpy(InputFile(c.dir(), file.get<std::string>())));
  }
  return tensors;
}

const ExactTensor& Find(const ConformCase& c, const CaseTensors& tensors, std::string_view kind,
                        std::string_view name) {
  const auto found = tensors.find(std::string(name));
  if (found == tensors.end()) {
    c.Reject(fmt::format("{} '{}' is missing; {} needs it", kind, name, c.algorithm()));
  }
  return found->second;
}

const IntTensor& Integers(const ConformCase& c, const ExactTensor& tensor, std::string_view name) {
  const auto* integers = std::get_if<IntTensor>(&tensor);
  if (integers == nullptr) c.Reject(fmt::format("'{}' holds floats; integers expected", name));
  return *integers;
}

std::int64_t InRange(const ConformCase& c, const std::string& what, std::int64_t value,
                     std::int64_t lo, std::int64_t hi) {
  if (value < lo || value > hi) {
    c.Reject(fmt::format("{} is {}, must be in {}..{} for {}", what, value, lo, hi, c.algorithm()));
  }
  return value;
}

std::int64_t IntegerOf(const ConformCase& c, const json& value, const std::string& what,
                       std::int64_t lo, std::int64_t hi) {
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!value.is_number_integer() || too_large) {
    c.Reject(fmt::format("{} must be an integer of at most 64 bits", what));
  }
  return InRange(c, what, value.get<std::int64_t>(), lo, hi);
}

}  // namespace

ConformCase ConformCase::Load(const std::filesystem::path& dir) {
  ConformCase c;
  c.dir_ = dir;
  const std::filesystem::path file = dir / "case.json";
  const json parsed = ParseJson(ReadTextFile(file, kMaxCaseBytes, "a case"), file.string());
  if (!parsed.is_object()) c.Reject("is not a JSON object");
  c.op_ = TextOf(c, parsed, "op");
  c.algorithm_ = TextOf(c, parsed, "algorithm");
  if (parsed.contains("source")) c.source_ = TextOf(c, parsed, "source");
  c.params_ = parsed.value("params", json::object());
  if (!c.params_.is_object()) c.Reject("'params' is not an object");
  c.inputs_ = ReadTensors(c, parsed, "inputs");
  c.outputs_ = ReadTensors(c, parsed, "outputs");
  return c;
}

void ConformCase::Reject(const std::string& what) const {
  throw InputError(fmt::format("{}: {}", (dir_ / "case.json").string(), what));
}

void ConformCase::CheckSize(std::int64_t rows, std::int64_t columns) const {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 24;
  if (columns > 0 && rows > Raised(kMostElements) / columns) {
    Reject(fmt::format("a result of {} x {} elements, at most {} are computed; {}", rows, columns,
                       Raised(kMostElements), kRaisedBy));
  }
}

bool ConformCase::HasParam(std::string_view key) const { return params_.contains(key); }

std::int64_t ConformCase::Param(std::string_view key, std::int64_t lo, std::int64_t hi) const {
  const std::string what = fmt::format("params.{}", key);
  const auto found = params_.find(key);
  if (found == params_.end()) Reject(fmt::format("{} is missing; {} needs it", what, algorithm_));
  return IntegerOf(*this, *found, what, lo, hi);
}

std::int64_t ConformCase::ParamOr(std::string_view key, std::int64_t fallback, std::int64_t lo,
                                  std::int64_t hi) const {
  return HasParam(key) ? Param(key, lo, hi) : fallback;
}

std::vector<std::int64_t> ConformCase::ParamList(std::string_view key, std::int64_t lo,
                                                 std::int64_t hi) const {
  const auto found = params_.find(key);
  if (found == params_.end() || !found->is_array()) return {Param(key, lo, hi)};
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < found->size(); ++i) {
    values.push_back(IntegerOf(*this, (*found)[i], fmt::format("params.{}[{}]", key, i), lo, hi));
  }
  if (values.empty()) Reject(fmt::format("params.{} is an empty list", key));
  return values;
}

bool ConformCase::Flag(std::string_view key, bool fallback) const {
  const auto found = params_.find(key);
  if (found == params_.end()) return fallback;
  if (found->is_boolean()) return found->get<bool>();
  return Param(key, 0, 1) == 1;
}

bool ConformCase::HasInput(std::string_view name) const {
  return inputs_.contains(std::string(name));
}

bool ConformCase::HasOutput(std::string_view name) const {
  return outputs_.contains(std::string(name));
}

const IntTensor& ConformCase::Input(std::string_view name) const {
  return Integers(*this, Find(*this, inputs_, "input", name), name);
}

const IntTensor& ConformCase::Output(std::string_view name) const {
  return Integers(*this, Find(*this, outputs_, "output", name), name);
}

const DoubleTensor& ConformCase::RealInput(std::string_view name) const {
  const auto* reals = std::get_if<DoubleTensor>(&Find(*this, inputs_, "input", name));
  if (reals == nullptr) Reject(fmt::format("'{}' holds integers; floats expected", name));
  return *reals;
}

std::vector<std::int64_t> ConformCase::InputValues(std::string_view name, std::int64_t lo,
                                                   std::int64_t hi) const {
  const IntTensor& tensor = Input(name);
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto element = static_cast<std::int64_t>(i);
    values[i] = tensor.At(element);
    if (values[i] < lo || values[i] > hi) {
      InRange(*this, fmt::format("{}{}", name, FormatIndex(tensor.shape(), element)), values[i], lo,
              hi);
    }
  }
  return values;
}

std::vector<std::int32_t> ConformCase::InputValues32(std::string_view name) const {
  const std::vector<std::int64_t> wide = InputValues(name, INT32_MIN, INT32_MAX);
  std::vector<std::int32_t> values(wide.size());
  std::transform(wide.begin(), wide.end(), values.begin(),
                 [](std::int64_t v) { return static_cast<std::int32_t>(v); });
  return values;
}

IntTensor MakeCaseTensor(Shape shape, std::vector<std::int64_t> values) {
  return IntTensor(std::move(shape), std::move(values));
}

IntTensor MakeCaseTensor(Shape shape, std::span<const std::int32_t> values) {
  return IntTensor(std::move(shape), std::vector<std::int32_t>(values.begin(), values.end()));
}

RowShape RowsOf(const Shape& shape) {
  if (shape.empty()) return {};
  const std::int64_t width = shape.back();
  return {width == 0 ? 0 : ElementCount(shape) / width, width};
}

}  // namespace qsim::conform
