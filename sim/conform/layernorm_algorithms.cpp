// Families layernorm/*: docs/numerics.md section 6.
#include <array>
#include <stdexcept>
#include <utility>

#include "golden/ops/layernorm.h"
#include "golden/ops/layernorm/fqvit.h"
#include "golden/ops/requant/ibert.h"
#include "sim/conform/algorithms.h"
#include "sim/conform/fqvit_parameters.h"

namespace qsim::conform {
namespace {

// Rows of a tensor, and per-channel inputs of their width.
struct Rows {
  Rows(const ConformCase& conform_case, const char* name)
      : c(conform_case),
        shape(c.Input(name).shape()),
        x(c.InputValues32(name)),
        width(static_cast<std::size_t>(RowsOf(shape).width)) {
    if (width < 1 || width > 65536) c.Reject("rows must have 1..65536 elements");
  }

  template <typename T>
  std::vector<T> PerChannel(std::vector<T> values, const char* name) const {
    if (values.size() != width) c.Reject(std::string("'") + name + "' needs one entry per channel");
    return values;
  }
  std::vector<std::int64_t> Wide(const char* name, std::int64_t limit) const {
    return PerChannel(c.InputValues(name, -limit, limit), name);
  }
  std::span<const std::int32_t> Row(std::size_t first) const {
    return std::span(x).subspan(first, width);
  }
  // The shape of one value per row.
  Shape Leading() const { return Shape(shape.begin(), std::prev(shape.end())); }

  const ConformCase& c;
  Shape shape;
  std::vector<std::int32_t> x;
  std::size_t width;
};

constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;

// The published step to 8 bits: clamp(half_even(y * m / 2^e), -128, 127).
std::vector<std::int64_t> DyadicTo8Bits(const Rows& rows, const std::vector<std::int64_t>& y) {
  const std::vector<std::int64_t> m = rows.Wide("m", std::int64_t{1} << 31);
  const std::vector<std::int64_t> e = rows.PerChannel(rows.c.InputValues("e", -31, 1105), "e");
  std::vector<std::int64_t> narrow(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t channel = i % rows.width;
    narrow[i] = DyadicRequantize(y[i], {.m = m[channel], .e = static_cast<int>(e[channel])}, 8);
  }
  return narrow;
}

template <typename Params>
CaseTensors BySumOfSquares(const ConformCase& c, Params params) {
  const Rows rows(c, "x");
  params.bias = rows.Wide("bias_int", kMaxBias);
  params.eps = c.ParamOr("eps", 0, 0, kMaxNormEps);
  // The narrow result is computed from y below: published multipliers include 2^31.
  params.scale = {{1, 62}};
  params.zero = {0};
  std::vector<std::int64_t> y(rows.x.size()), std_int(rows.x.size() / rows.width);
  std::vector<std::int32_t> unused(rows.width);
  for (std::size_t row = 0; row < std_int.size(); ++row) {
    const std::size_t first = row * rows.width;
    Layernorm(rows.Row(first), params, {}, unused,
              {.y = std::span(y).subspan(first, rows.width), .std_int = &std_int[row]});
  }
  CaseTensors computed;
  if (c.HasInput("m")) computed.emplace("y8", MakeCaseTensor(rows.shape, DyadicTo8Bits(rows, y)));
  computed.emplace("y", MakeCaseTensor(rows.shape, std::move(y)));
  computed.emplace("std_int", MakeCaseTensor(rows.Leading(), std::move(std_int)));
  return computed;
}

CaseTensors IbertLayernorm(const ConformCase& c) {
  return BySumOfSquares(
      c, IbertLayernormParams{.std_shift = static_cast<int>(c.ParamOr("shift", 0, 0, 31))});
}

CaseTensors Ivit(const ConformCase& c) {
  // Part of the algorithm; a case may only repeat them.
  c.ParamOr("k0", 1 << 16, 1 << 16, 1 << 16);
  c.ParamOr("iterations", 10, 10, 10);
  return BySumOfSquares(c, IvitLayernormParams{});
}

CaseTensors DeeployLayernorm(const ConformCase& c) {
  const Rows rows(c, "x");
  const std::vector<std::int32_t> weight = rows.PerChannel(c.InputValues32("weight"), "weight");
  const std::vector<std::int64_t> bias = rows.Wide("bias", kMaxBias);
  const DeeployLayernormParams params{
      .input_zero = -c.ParamOr("input_offset", 0, INT32_MIN, INT32_MAX),
      .bias = bias,
      .weight = weight,
      .log2d = static_cast<int>(c.Param("log2D", 0, 62)),
      .eps = c.ParamOr("eps", 0, 0, kMaxNormEps)};
  std::vector<std::int64_t> y(rows.x.size());
  for (std::size_t first = 0; first < y.size(); first += rows.width) {
    LayernormDeeploy(rows.Row(first), params, std::span(y).subspan(first, rows.width));
  }
  // The kernel's cast to its output type; only an int8 output wraps.
  if (c.HasOutput("y") && c.Output("y").dtype() == DType::kInt8) {
    for (std::int64_t& value : y) value = static_cast<std::int8_t>(value);
  }
  CaseTensors computed;
  computed.emplace("y", MakeCaseTensor(rows.shape, std::move(y)));
  return computed;
}

CaseTensors Fqvit(const ConformCase& c) {
  const Rows rows(c, "x_q");
  const std::vector<std::int32_t> mask =
      rows.PerChannel(c.InputValues32("scale_mask"), "scale_mask");
  const auto reals = [&](const char* name) { return std::span(c.RealInput(name).data); };
  std::vector<std::int64_t> y(rows.x.size()), m, n, b;
  for (std::size_t first = 0; first < y.size(); first += rows.width) {
    try {
      const FqvitParameters row = DeriveFqvitParameters(rows.Row(first), mask, reals("weight"),
                                                        reals("bias"), reals("out_scale"));
      LayernormFqvit(rows.Row(first), mask, row.m, row.n, row.b,
                     std::span(y).subspan(first, rows.width));
      m.insert(m.end(), row.m.begin(), row.m.end());
      n.insert(n.end(), row.n.begin(), row.n.end());
      b.insert(b.end(), row.b.begin(), row.b.end());
    } catch (const std::invalid_argument& error) {
      c.Reject("row " + std::to_string(first / rows.width) + ": " + error.what());
    }
  }
  CaseTensors computed;
  computed.emplace("M", MakeCaseTensor(rows.shape, std::move(m)));
  computed.emplace("N", MakeCaseTensor(rows.shape, std::move(n)));
  computed.emplace("B", MakeCaseTensor(rows.shape, std::move(b)));
  computed.emplace("y", MakeCaseTensor(rows.shape, std::move(y)));
  return computed;
}

constexpr std::array<ConformAlgorithm, 4> kLayernormAlgorithms = {{
    {"layernorm", "ibert", IbertLayernorm},
    {"layernorm", "ivit", Ivit},
    {"layernorm", "fqvit", Fqvit},
    {"layernorm", "deeploy", DeeployLayernorm},
}};

}  // namespace

std::span<const ConformAlgorithm> LayernormAlgorithms() { return kLayernormAlgorithms; }

}  // namespace qsim::conform
