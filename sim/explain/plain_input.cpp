#include "sim/explain/plain_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "sim/error.h"
#include "sim/explain/gemm_model.h"
#include "sim/explain/requant_model.h"
#include "sim/explain/search.h"
#include "sim/explain/tensor_file.h"
#include "sim/text/text_util.h"

namespace qsim::explain {
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

// Of the shape of another tensor, where the file's words say none.
WideTensor ReadOperand(const fs::path& path, const std::optional<Shape>& shape) {
  WordForm form;
  if (shape) form.shape = *shape;
  WideTensor tensor = ReadWideTensor(path, form);
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
  if (axis == "none" || (axis == "auto" && count == 1)) return {1, 1, size};
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

// The shape that one of the output's files states.
std::optional<Shape> OutputShape(const PlainOptions& options) {
  for (const fs::path& path : {options.actual, options.expected}) {
    if (path.empty()) continue;
    if (const auto form = StatedForm(path)) return form->shape;
  }
  return std::nullopt;
}

// Element index and both values of the first difference, as an error of the caller's.
void CheckExpected(const PlainOptions& options, const Model& model, const WordForm& form) {
  if (options.expected.empty()) return;
  WideTensor expected = ReadWideTensor(options.expected, form);
  CheckShape(expected, options.expected, model.shape(), options.actual);
  std::vector<std::int64_t> elements(expected.values.size());
  std::iota(elements.begin(), elements.end(), std::int64_t{0});
  std::vector<std::int64_t> golden(elements.size());
  model.Evaluate(model.Golden(), elements, golden);
  for (std::size_t i = 0; i < golden.size(); ++i) {
    if (golden[i] != expected.values[i])
      throw InputError(fmt::format(
          "{}: element {} is {}, but these parameters give {}; check the zero points, "
          "--multiplier, "
          "--shift, --rounding and the range",
          options.expected.string(), IndexText(IndexOfElement(elements[i], model.shape())),
          expected.values[i], golden[i]));
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
  WideTensor x = ReadOperand(x_path, OutputShape(options));
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
    WideTensor b = ReadOperand(options.b, spec.shape);
    CheckShape(b, options.b, spec.shape, x_path);
    spec.b = std::move(b.values);
    spec.is_sum = true;
    spec.b_multiplier =
        ReadNumbers(options.b_multiplier, "--b-multiplier", -kMaxMultiplier, kMaxMultiplier);
    spec.b_zero = options.b_zero;
    entries = std::max(entries, spec.b_multiplier.size());
  } else if (!options.addend.empty()) {
    // 1 times the addend: a second operand like any other.
    spec.b.assign(spec.x.size(), 1);
    spec.b_multiplier = ReadNumbers(options.addend, "--addend", -kMaxOperand, kMaxOperand);
    spec.b_name = "addend";
    entries = std::max(entries, spec.b_multiplier.size());
  }
  spec.layout = LayoutFor(options.axis, spec.shape, entries);
  CheckEntries(spec.multiplier.size(), "--multiplier", spec.layout, spec.shape);
  CheckEntries(spec.shift.size(), "--shift", spec.layout, spec.shape);
  CheckEntries(spec.zero.size(), "--zero", spec.layout, spec.shape);
  if (!spec.b.empty())
    CheckEntries(spec.b_multiplier.size(), residual ? "--b-multiplier" : "--addend", spec.layout,
                 spec.shape);
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

// One number, or one for each of `count`.
std::vector<std::int64_t> Spread(std::vector<std::int64_t> values, std::int64_t count,
                                 const std::string& option, const char* what) {
  if (values.size() == 1) values.assign(static_cast<std::size_t>(count), values[0]);
  if (static_cast<std::int64_t>(values.size()) != count)
    throw InputError(fmt::format("{}: has {} entries; it needs one, or one for each of {} {}",
                                 option, values.size(), count, what));
  return values;
}

WideTensor ReadMatrix(const fs::path& path) {
  WideTensor tensor = ReadWideTensor(path);
  if (tensor.shape.size() < 2)
    throw InputError(fmt::format("{}: has shape {}; a matrix needs two axes", path.string(),
                                 ShapeText(tensor.shape)));
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    if (tensor.values[i] < -32768 || tensor.values[i] > 65535)
      throw InputError(fmt::format("{}: element {} is {}; operands have at most 16 bits",
                                   path.string(), i, tensor.values[i]));
  }
  return tensor;
}

// [..., M, K] times [..., K, N], or [..., N, K] with --transpose-rhs. The leading axes are those of
// the left operand; a right operand without them serves every product.
GemmSpec ReadGemm(const PlainOptions& options) {
  WideTensor lhs = ReadMatrix(options.lhs);
  WideTensor rhs = ReadMatrix(options.rhs);
  const std::size_t axes = lhs.shape.size();
  GemmSpec spec;
  spec.rows = lhs.shape[axes - 2];
  spec.depth = lhs.shape[axes - 1];
  spec.products = ElementCount(lhs.shape) / (spec.rows * spec.depth);
  const std::int64_t rhs_first = rhs.shape[rhs.shape.size() - 2];
  const std::int64_t rhs_second = rhs.shape.back();
  const std::int64_t rhs_depth = options.transpose_rhs ? rhs_second : rhs_first;
  spec.cols = options.transpose_rhs ? rhs_first : rhs_second;
  const std::int64_t rhs_products = ElementCount(rhs.shape) / (spec.cols * rhs_depth);
  if (rhs_depth != spec.depth || (rhs_products != 1 && rhs_products != spec.products))
    throw InputError(fmt::format("{}: shape {} does not fit {} of shape {}: {} x K times {}{}",
                                 options.rhs.string(), ShapeText(rhs.shape), options.lhs.string(),
                                 ShapeText(lhs.shape), spec.rows,
                                 options.transpose_rhs ? "N x K" : "K x N",
                                 options.transpose_rhs ? "" : "; --transpose-rhs takes N x K"));
  if (spec.depth > 65535)
    throw InputError(
        fmt::format("{}: K is {}; it may be at most 65535", options.lhs.string(), spec.depth));
  spec.shape = lhs.shape;
  spec.shape.back() = spec.cols;
  spec.axis_names = DefaultAxisNames(axes);
  spec.axis_names.back() = "column";
  if (axes > 2) spec.group = lhs.shape[axes - 3];
  spec.lhs.assign(lhs.values.begin(), lhs.values.end());
  spec.rhs.assign(rhs.values.begin(), rhs.values.end());
  for (std::int64_t p = 0; p < spec.products; ++p) {
    spec.lhs_start.push_back(p * spec.rows * spec.depth);
    spec.rhs_start.push_back(rhs_products == 1 ? 0 : p * spec.cols * spec.depth);
  }
  spec.lhs_row = spec.depth;
  spec.rhs_row = options.transpose_rhs ? 1 : spec.cols;
  spec.rhs_col = options.transpose_rhs ? spec.depth : 1;
  spec.lhs_bits = std::min(lhs.bits, 16);
  spec.rhs_bits = std::min(rhs.bits, 16);
  spec.lhs_signed = lhs.is_signed;
  spec.rhs_signed = rhs.is_signed;
  constexpr std::int64_t kMaxBias = std::numeric_limits<std::int32_t>::max();
  if (!options.bias.empty())
    spec.bias = Spread(ReadNumbers(options.bias, "--bias", -kMaxBias - 1, kMaxBias), spec.cols,
                       "--bias", "columns");
  spec.lhs_zero = Spread(ReadNumbers(options.lhs_zero, "--lhs-zero", -65536, 65535), spec.products,
                         "--lhs-zero", "products");
  const std::vector<std::int64_t> rhs_zero =
      Spread(ReadNumbers(options.rhs_zero, "--rhs-zero", -65536, 65535), spec.cols, "--rhs-zero",
             "columns");
  for (std::int64_t p = 0; p < spec.products; ++p)
    spec.rhs_zero.insert(spec.rhs_zero.end(), rhs_zero.begin(), rhs_zero.end());
  const std::optional<AccPolicy> policy = FromName<AccPolicy>(options.acc_policy);
  if (!policy || *policy == AccPolicy::kError)
    throw InputError(
        fmt::format("--acc-policy: '{}' is not one of wrap, saturate", options.acc_policy));
  spec.acc = {options.acc_bits, *policy};
  return spec;
}

// The sums as they were stated.
std::string GoldenText(const GemmSpec& spec) {
  const auto minus = [](const char* operand, const std::vector<std::int64_t>& zeros) {
    const auto [low, high] = std::minmax_element(zeros.begin(), zeros.end());
    if (*low == 0 && *high == 0) return std::string(operand);
    if (*low != *high) return fmt::format("({} - zero {})", operand, ListText(zeros));
    return fmt::format("({} {} {})", operand, *low < 0 ? '+' : '-', std::abs(*low));
  };
  return fmt::format("{}{} x {} times {} x {}, {}sum over k of {} {}, {} at {} bits",
                     spec.products == 1 ? "" : fmt::format("{} products of ", spec.products),
                     spec.rows, spec.depth, spec.depth, spec.cols,
                     spec.bias.empty() ? "" : "bias + ", minus("lhs", spec.lhs_zero),
                     minus("rhs", spec.rhs_zero), Name(spec.acc.policy), spec.acc.bits);
}

std::string GoldenText(const RequantSpec& spec) {
  return fmt::format("{}, M {}, S {}, zero {}, {}..{}", NameOf(spec.rounding),
                     ListText(spec.multiplier), ListText({spec.shift.begin(), spec.shift.end()}),
                     ListText(spec.zero), spec.qmin, spec.qmax);
}

// Of the specification of a model; the output's words have `bits` where nothing else is stated.
template <typename ModelOf, typename Spec>
Explanation ExplainSpec(const PlainOptions& options, Spec spec, const fs::path& shape_of, int bits,
                        bool is_signed, int threads) {
  WordForm form;
  if (!options.expected.empty()) form = StatedForm(options.expected).value_or(form);
  form.shape = spec.shape;
  if (form.bits == 0) {
    form.bits = bits;
    form.is_signed = is_signed;
  }
  std::string golden = GoldenText(spec);
  WideTensor actual = ReadWideTensor(options.actual, form);
  CheckShape(actual, options.actual, spec.shape, shape_of);
  const ModelOf model(std::move(spec), actual.values);
  CheckExpected(options, model, form);
  return Explain(model, actual.values, options.actual.filename().string(), std::move(golden),
                 threads);
}

}  // namespace

Explanation ExplainFiles(const PlainOptions& options, int threads) {
  if (!options.lhs.empty())
    return ExplainSpec<GemmModel>(options, ReadGemm(options), options.lhs, options.acc_bits, true,
                                  threads);
  return ExplainSpec<RequantModel>(options, ReadSpec(options),
                                   options.a.empty() ? options.acc : options.a, options.bits,
                                   !options.is_unsigned, threads);
}

}  // namespace qsim::explain
