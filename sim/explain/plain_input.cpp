#include "sim/explain/plain_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/error.h"
#include "sim/explain/requant_model.h"
#include "sim/explain/search.h"
#include "sim/explain/tensor_file.h"
#include "sim/report/text_util.h"

namespace qsim {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxOperand = (std::int64_t{1} << 47) - 1;
constexpr std::int64_t kMaxMultiplier = (std::int64_t{1} << 32) - 1;
constexpr std::int64_t kMaxZero = std::numeric_limits<std::int32_t>::max();
constexpr int kMaxShift = 62;

// The other tensors of an operation have the first one's shape; a flat list of as many elements
// will do.
void CheckShape(WideTensor& tensor, const fs::path& path, const Shape& shape,
                const fs::path& shape_of) {
  const bool flat = tensor.shape.size() == 1 &&
                    static_cast<std::int64_t>(tensor.values.size()) == ElementCount(shape);
  if (tensor.shape != shape && !flat)
    throw InputError(fmt::format("{}: has shape {}, but {} calls for {}", path.string(),
                                 ShapeText(tensor.shape), shape_of.string(), ShapeText(shape)));
  tensor.shape = shape;
}

WideTensor ReadOperand(const fs::path& path) {
  WideTensor tensor = ReadWideTensor(path);
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    if (tensor.values[i] < -kMaxOperand || tensor.values[i] > kMaxOperand)
      throw InputError(fmt::format("{}: element {} is {}; operands have at most 48 bits",
                                   path.string(), i, tensor.values[i]));
  }
  return tensor;
}

ChannelLayout LayoutFor(const std::string& axis, const Shape& shape, std::size_t entries) {
  const std::int64_t size = ElementCount(shape);
  const auto count = static_cast<std::int64_t>(entries);
  const ChannelLayout last = {size / shape.back(), shape.back(), 1};
  const ChannelLayout first = {1, shape.front(), size / shape.front()};
  if (axis == "last") return last;
  if (axis == "first") return first;
  if (axis == "element") return {1, size, 1};
  if (axis == "none" || count == 1) return {1, 1, size};
  if (axis != "auto")
    throw InputError(
        fmt::format("--axis: '{}' is not one of auto, last, first, element, none", axis));
  if (count == last.channels) return last;
  if (count == first.channels) return first;
  return {1, size, 1};
}

void CheckEntries(std::size_t entries, const std::string& option, const ChannelLayout& layout,
                  const Shape& shape) {
  if (OneOrPerChannel(layout, entries)) return;
  throw InputError(fmt::format(
      "{}: has {} entries; a tensor of shape {} needs one{}", option, entries, ShapeText(shape),
      layout.channels > 1 ? fmt::format(", or {} along this --axis", layout.channels)
                          : " with --axis none"));
}

// Element index and both values of the first difference, as an error of the caller's.
void CheckExpected(const PlainOptions& options, const Model& model) {
  if (options.expected.empty()) return;
  WideTensor expected = ReadWideTensor(options.expected);
  CheckShape(expected, options.expected, model.shape(), options.actual);
  std::int64_t element = 0;
  for (const std::int64_t value : expected.values) {
    std::int64_t golden = 0;
    model.Evaluate(model.Golden(), std::span(&element, 1), std::span(&golden, 1));
    if (golden != value)
      throw InputError(
          fmt::format("{}: element {} is {}, but these parameters give {}; check --multiplier, "
                      "--shift, --zero, "
                      "--rounding and the range",
                      options.expected.string(), IndexText(IndexOfElement(element, model.shape())),
                      value, golden));
    ++element;
  }
}

std::vector<int> Narrowed(const std::vector<std::int64_t>& values) {
  return {values.begin(), values.end()};
}

std::string ListText(const std::vector<std::int64_t>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *low == *high ? fmt::format("{}", *low) : fmt::format("{}..{}", *low, *high);
}

// Of a requantizer, or with `b` of a residual add.
RequantSpec ReadSpec(const PlainOptions& options) {
  const bool residual = !options.a.empty();
  const fs::path& x_path = residual ? options.a : options.acc;
  RequantSpec spec;
  WideTensor x = ReadOperand(x_path);
  spec.shape = x.shape;
  spec.axis_names = DefaultAxisNames(spec.shape.size());
  spec.x = std::move(x.values);
  spec.x_bits = std::clamp(x.bits + (x.is_signed ? 0 : 1), 2, 48);
  spec.multiplier =
      ReadNumbers(options.multiplier, "--multiplier", -kMaxMultiplier, kMaxMultiplier);
  spec.shift = Narrowed(ReadNumbers(options.shift, "--shift", 0, kMaxShift));
  spec.zero = ReadNumbers(options.zero, "--zero", -kMaxZero, kMaxZero);
  spec.x_zero = options.input_zero;
  std::size_t entries = std::max({spec.multiplier.size(), spec.shift.size(), spec.zero.size()});
  if (residual) {
    WideTensor b = ReadOperand(options.b);
    CheckShape(b, options.b, spec.shape, x_path);
    spec.b = std::move(b.values);
    spec.b_multiplier =
        ReadNumbers(options.b_multiplier, "--b-multiplier", -kMaxMultiplier, kMaxMultiplier);
    spec.b_zero = options.b_zero;
    entries = std::max(entries, spec.b_multiplier.size());
  }
  spec.layout = LayoutFor(options.axis, spec.shape, entries);
  CheckEntries(spec.multiplier.size(), "--multiplier", spec.layout, spec.shape);
  CheckEntries(spec.shift.size(), "--shift", spec.layout, spec.shape);
  CheckEntries(spec.zero.size(), "--zero", spec.layout, spec.shape);
  if (residual) CheckEntries(spec.b_multiplier.size(), "--b-multiplier", spec.layout, spec.shape);
  const std::optional<RoundScheme> rounding = RoundSchemeFromName(options.rounding);
  if (!rounding)
    throw InputError(
        fmt::format("--rounding: '{}' is not one of {}", options.rounding, RoundSchemeNames()));
  spec.rounding = *rounding;
  const std::int64_t half = std::int64_t{1} << (options.bits - 1);
  spec.qmin = options.is_unsigned ? 0 : -half;
  spec.qmax = options.is_unsigned ? 2 * half - 1 : half - 1;
  return spec;
}

std::string GoldenText(const RequantSpec& spec) {
  return fmt::format("{}, M {}, S {}, zero {}, {}..{}", NameOf(spec.rounding),
                     ListText(spec.multiplier), ListText({spec.shift.begin(), spec.shift.end()}),
                     ListText(spec.zero), spec.qmin, spec.qmax);
}

}  // namespace

Explanation ExplainFiles(const PlainOptions& options) {
  RequantSpec spec = ReadSpec(options);
  std::string golden = GoldenText(spec);
  const fs::path& x_path = options.a.empty() ? options.acc : options.a;
  const RequantModel model(std::move(spec));
  WideTensor actual = ReadWideTensor(options.actual);
  CheckShape(actual, options.actual, model.shape(), x_path);
  CheckExpected(options, model);
  return Explain(model, actual.values, options.actual.filename().string(), std::move(golden));
}

}  // namespace qsim
