// Families matmul_requant/*: docs/numerics.md sections 3 and 4.6.
#include <algorithm>
#include <array>

#include "golden/ops/one_or_each.h"
#include "golden/ops/requant/tflite.h"
#include "sim/conform/algorithms.h"
#include "sim/io/tensors/shape.h"

namespace qsim::conform {
namespace {

// What both kinds of product share.
struct Rule {
  std::int32_t lhs_zero = 0;
  std::int32_t rhs_zero = 0;
  std::vector<std::int64_t> multiplier, shift;  // one, or one per output column
  std::int32_t output_offset = 0;
  QuantRange range;
};

Rule ReadRule(const ConformCase& c) {
  Rule rule;
  rule.lhs_zero = static_cast<std::int32_t>(-c.ParamOr("input_offset", 0, -255, 128));
  rule.rhs_zero = static_cast<std::int32_t>(-c.ParamOr("filter_offset", 0, -127, 128));
  const auto integers = [&](const char* name, std::int64_t lo, std::int64_t hi) {
    return c.HasInput(name) ? c.InputValues(name, lo, hi) : c.ParamList(name, lo, hi);
  };
  rule.multiplier = integers("multiplier", kInt32Min, kInt32Max);
  rule.shift = integers("shift", -62, 31);
  rule.output_offset = static_cast<std::int32_t>(c.ParamOr("output_offset", 0, -65536, 65536));
  rule.range.qmin = static_cast<std::int32_t>(c.Param("activation_min", kInt32Min, kInt32Max));
  rule.range.qmax =
      static_cast<std::int32_t>(c.Param("activation_max", rule.range.qmin, kInt32Max));
  return rule;
}

std::vector<std::int8_t> Int8Values(const ConformCase& c, const char* name) {
  const std::vector<std::int64_t> wide = c.InputValues(name, -128, 127);
  std::vector<std::int8_t> values(wide.size());
  std::transform(wide.begin(), wide.end(), values.begin(),
                 [](std::int64_t v) { return static_cast<std::int8_t>(v); });
  return values;
}

// lhs [m, k] times rhs_t [n, k] transposed.
void Multiply(const std::int8_t* lhs, const std::int8_t* rhs_t, std::int64_t m, std::int64_t k,
              std::int64_t n, std::int64_t head, const Rule& rule,
              std::span<const std::int32_t> bias, Backend& backend, std::int32_t* out) {
  const GemmParams params{.bias = bias,
                          .lhs_zero = rule.lhs_zero,
                          .rhs_zero = {&rule.rhs_zero, 1},
                          // The exact sum fits 32 bits; a partial sum need not.
                          .acc = {.bits = 32, .policy = AccPolicy::kWrap}};
  backend.Gemm({.tap = "acc", .head = head}, MatrixView<const std::int8_t>{lhs, m, k, k, 1},
               MatrixView<const std::int8_t>{rhs_t, k, n, 1, k}, params, {out, m, n, n, 1},
               nullptr);
}

// The products' accumulators, [..., n], to the output.
CaseTensors RequantizeAccumulators(const ConformCase& c, const Rule& rule, const Shape& shape,
                                   const std::vector<std::int32_t>& acc, Backend& backend) {
  const std::int64_t n = shape.back();
  for (const auto* values : {&rule.multiplier, &rule.shift}) {
    if (values->size() != 1 && static_cast<std::int64_t>(values->size()) != n) {
      c.Reject("multiplier and shift need one entry or one per output");
    }
  }
  const bool per_channel = rule.multiplier.size() > 1 || rule.shift.size() > 1;
  std::vector<Multiplier> scale;
  for (std::size_t i = 0; i < std::max(rule.multiplier.size(), rule.shift.size()); ++i) {
    scale.push_back({static_cast<std::int32_t>(EntryFor(rule.multiplier, i)),
                     static_cast<int>(31 - EntryFor(rule.shift, i))});
  }
  const RequantLimits limits = LimitsOf(RequantScheme::kTfliteDouble);
  const bool in_limits = std::all_of(scale.begin(), scale.end(), [&](const Multiplier& s) {
    return s.m >= limits.min_multiplier && s.shift >= limits.min_shift;
  });
  std::vector<std::int32_t> y(acc.size());
  const auto elements = static_cast<std::int64_t>(acc.size());
  if (in_limits && elements > 0) {
    backend.Requantize(
        {.tap = "y"}, acc, n,
        {.layout = per_channel ? ChannelLayout{elements / n, n, 1} : ChannelLayout{1, 1, elements},
         .scale = scale,
         .zero = {&rule.output_offset, 1},
         .range = rule.range,
         .scheme = RequantScheme::kTfliteDouble},
        y);
  } else {
    for (std::size_t i = 0; i < acc.size(); ++i) {
      const Multiplier s = scale[per_channel ? i % static_cast<std::size_t>(n) : 0];
      const std::int64_t scaled = TfliteDoubleRounding(acc[i], s.m, 31 - s.shift);
      y[i] = static_cast<std::int32_t>(
          std::clamp<std::int64_t>(scaled + rule.output_offset, rule.range.qmin, rule.range.qmax));
    }
  }
  CaseTensors computed;
  computed.emplace("y", MakeCaseTensor(shape, y));
  return computed;
}

CaseTensors FullyConnected(const ConformCase& c, Backend& backend) {
  const Rule rule = ReadRule(c);
  Shape shape = c.Input("input").shape();
  const Shape& weights_shape = c.Input("weights").shape();
  if (shape.empty() || weights_shape.size() != 2 || shape.back() != weights_shape.back()) {
    c.Reject("'input' must be [..., K] and 'weights' [N, K]");
  }
  const std::int64_t k = weights_shape.back(), n = weights_shape.front();
  const std::vector<std::int8_t> input = Int8Values(c, "input"), weights = Int8Values(c, "weights");
  std::vector<std::int32_t> bias;
  if (c.HasInput("bias")) bias = c.InputValues32("bias");
  shape.back() = 1;
  const auto all_rows = CheckedElementCount(shape);
  c.CheckSize(all_rows.value_or(INT64_MAX), n);
  shape.back() = n;
  std::vector<std::int32_t> acc(static_cast<std::size_t>(ElementCount(shape)));
  const std::int64_t rows = n == 0 ? 0 : static_cast<std::int64_t>(acc.size()) / n;
  Multiply(input.data(), weights.data(), rows, k, n, 0, rule, bias, backend, acc.data());
  return RequantizeAccumulators(c, rule, shape, acc, backend);
}

CaseTensors BatchMatmul(const ConformCase& c, Backend& backend) {
  const Rule rule = ReadRule(c);
  const Shape &left = c.Input("lhs").shape(), &right = c.Input("rhs_t").shape();
  const auto fits = [&](std::size_t axis) {
    return left[axis] == right[axis] || left[axis] == 1 || right[axis] == 1;
  };
  if (left.size() != 4 || right.size() != 4 || !fits(0) || !fits(1) || left[3] != right[3]) {
    c.Reject(
        "'lhs' must be [B, H, M, K] and 'rhs_t' [B, H, N, K]; B and H may be 1 in one of them");
  }
  const std::int64_t m = left[2], k = left[3], n = right[2];
  const Shape shape = {std::max(left[0], right[0]), std::max(left[1], right[1]), m, n};
  const auto products = CheckedElementCount({shape[0], shape[1], m});
  c.CheckSize(products.value_or(INT64_MAX), n);
  const std::vector<std::int8_t> lhs = Int8Values(c, "lhs"), rhs = Int8Values(c, "rhs_t");
  std::vector<std::int32_t> acc(static_cast<std::size_t>(ElementCount(shape)));
  // The matrix of an operand that serves batch b and head h.
  const auto matrix = [](const Shape& of, std::int64_t b, std::int64_t h) {
    return ((of[0] == 1 ? 0 : b) * of[1] + (of[1] == 1 ? 0 : h)) * of[2] * of[3];
  };
  for (std::int64_t b = 0; b < shape[0]; ++b) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      const std::int64_t product = b * shape[1] + h;
      Multiply(lhs.data() + matrix(left, b, h), rhs.data() + matrix(right, b, h), m, k, n, product,
               rule, {}, backend, acc.data() + product * m * n);
    }
  }
  return RequantizeAccumulators(c, rule, shape, acc, backend);
}

using Run = CaseTensors (*)(const ConformCase&, Backend&);

template <Run kRun>
CaseTensors Golden(const ConformCase& c) {
  GoldenBackend golden;
  return kRun(c, golden);
}

template <Run kRun>
std::optional<CaseTensors> Rtl(const ConformCase& c, Backend& rtl) {
  return kRun(c, rtl);
}

constexpr std::array<ConformAlgorithm, 3> kMatmulRequantAlgorithms = {{
    {"matmul_requant", "cmsisnn_fully_connected_s8", Golden<FullyConnected>, Rtl<FullyConnected>},
    {"matmul_requant", "cmsisnn_fc_per_ch", Golden<FullyConnected>, Rtl<FullyConnected>},
    {"matmul_requant", "cmsisnn_batch_matmul_s8", Golden<BatchMatmul>, Rtl<BatchMatmul>},
}};

}  // namespace

std::span<const ConformAlgorithm> MatmulRequantAlgorithms() { return kMatmulRequantAlgorithms; }

}  // namespace qsim::conform
