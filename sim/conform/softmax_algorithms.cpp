// Families softmax/*: docs/numerics.md section 5.
#include <array>
#include <functional>
#include <utility>

#include "golden/ops/softmax.h"
#include "sim/conform/algorithms.h"

namespace qsim::conform {
namespace {

// What to hand back beside the row's result, under the README's name of that result.
struct Outputs {
  const char* result = "y";
  bool exp_int = false;
  bool exp16 = false;
};

CaseTensors RunRows(const ConformCase& c, const SoftmaxParams& params, const Outputs& outputs) {
  try {
    CheckSoftmaxParams(params);
  } catch (const std::invalid_argument& error) {
    c.Reject(error.what());
  }
  const std::vector<std::int32_t> x = c.InputValues32("x");
  const Shape& shape = c.Input("x").shape();
  const RowShape rows = RowsOf(shape);
  if (rows.width > MaxSoftmaxRow(KindOf(params))) c.Reject("'x' has rows that are too long");
  const auto width = static_cast<std::size_t>(rows.width);
  std::vector<std::int32_t> y(x.size()), exp16(outputs.exp16 ? x.size() : 0);
  std::vector<std::int64_t> exp_int(outputs.exp_int ? x.size() : 0);
  for (std::size_t first = 0; first < x.size(); first += width) {
    SoftmaxTrace trace;
    if (outputs.exp_int) trace.exp_int = std::span(exp_int).subspan(first, width);
    if (outputs.exp16) trace.exp16 = std::span(exp16).subspan(first, width);
    Softmax(std::span(x).subspan(first, width), params, std::span(y).subspan(first, width), trace);
  }
  CaseTensors computed;
  computed.emplace(outputs.result, MakeCaseTensor(shape, y));
  if (outputs.exp_int) computed.emplace("exp_int", MakeCaseTensor(shape, std::move(exp_int)));
  if (outputs.exp16) computed.emplace("exp16", MakeCaseTensor(shape, exp16));
  return computed;
}

int SmallParam(const ConformCase& c, std::string_view key, int lo, int hi) {
  return static_cast<int>(c.Param(key, lo, hi));
}

std::int32_t Param32(const ConformCase& c, std::string_view key) {
  return static_cast<std::int32_t>(c.Param(key, INT32_MIN, kInt32Max));
}

IbertExp ExpOf(const ConformCase& c) {
  return {.x0 = Param32(c, "x0_int"),
          .b = c.Param("b_int", 0, kInt32Max),
          .c = c.Param("c_int", 1, (std::int64_t{1} << 33) - 1),
          .n = SmallParam(c, "n", 0, 30)};
}

CaseTensors IbertSoftmax(const ConformCase& c) {
  c.Param("output_bits", 8, 8);
  IbertSoftmaxParams params{
      .exp = ExpOf(c),
      .act16_multiplier = c.Param("act16_multiplier", 1, std::int64_t{1} << 31),
      .act16_shift = SmallParam(c, "act16_shift", 0, 126)};
  // 2^31, which 31 bits do not hold, is the same factor with one bit less.
  if (params.act16_multiplier == std::int64_t{1} << 31 && params.act16_shift > 0) {
    params.act16_multiplier >>= 1;
    --params.act16_shift;
  }
  return RunRows(c, params, {.exp_int = true, .exp16 = true});
}

CaseTensors LogInt(const ConformCase& c) {
  const LogIntSoftmaxParams params{.exp = ExpOf(c), .code_bits = SmallParam(c, "bits", 1, 8)};
  return RunRows(c, params, {.result = "code", .exp_int = true});
}

CaseTensors IvitShiftmax(const ConformCase& c) {
  const ShiftmaxParams params{.x0 = Param32(c, "x0_int"),
                              .n = SmallParam(c, "n", 0, 30),
                              .output_bits = SmallParam(c, "output_bits", 1, 16)};
  return RunRows(c, params, {.exp_int = true});
}

template <typename Params>
Params ItaOf(const ConformCase& c) {
  return {.shift_bits = SmallParam(c, "shift_bits", 0, 31),
          .levels = static_cast<std::int32_t>(c.ParamOr("levels", 256, 2, 65536)),
          .output_offset = static_cast<std::int32_t>(c.ParamOr("output_offset", 0, -65536, 65536))};
}

CaseTensors ItaSoftmax(const ConformCase& c) { return RunRows(c, ItaOf<ItaSoftmaxParams>(c), {}); }

CaseTensors ItaStreaming(const ConformCase& c) {
  auto params = ItaOf<ItaStreamingSoftmaxParams>(c);
  params.group = c.Param("group", 1, kInt32Max);
  return RunRows(c, params, {});
}

CaseTensors Isoftmax(const ConformCase& c) {
  const IsoftmaxParams params{
      .coeff_a = Param32(c, "coeffA"),
      .coeff_b = Param32(c, "coeffB"),
      .coeff_c = c.Param("coeffC", 0, std::int64_t{1} << 62),
      .log2 = Param32(c, "log2"),
      .levels = SmallParam(c, "levels", 2, 65536),
      .output_offset = static_cast<std::int32_t>(c.ParamOr("output_offset", 0, -65536, 65536))};
  return RunRows(c, params, {});
}

CaseTensors Tflite(const ConformCase& c) {
  const TfliteSoftmaxParams params{.beta_multiplier = Param32(c, "input_beta_multiplier"),
                                   .beta_left_shift = SmallParam(c, "input_beta_left_shift", 0, 31),
                                   .diff_min = Param32(c, "diff_min"),
                                   .output_bits = SmallParam(c, "output_bits", 8, 16)};
  return RunRows(c, params, {});
}

constexpr std::array<ConformAlgorithm, 9> kSoftmaxAlgorithms = {{
    {"softmax", "ibert", IbertSoftmax},
    {"softmax", "fqvit_logint", LogInt},
    {"softmax", "ivit_shiftmax", IvitShiftmax},
    {"softmax", "ita", ItaSoftmax},
    {"softmax", "deeploy_itamax", ItaSoftmax},
    {"softmax", "ita_streaming", ItaStreaming},
    {"softmax", "deeploy_itapartialmax", ItaStreaming},
    {"softmax", "deeploy_isoftmax", Isoftmax},
    {"softmax", "tflite_s8", Tflite},
}};

}  // namespace

std::span<const ConformAlgorithm> SoftmaxAlgorithms() { return kSoftmaxAlgorithms; }

}  // namespace qsim::conform
