// Families gelu/*: docs/numerics.md section 7.
#include <algorithm>
#include <array>
#include <utility>

#include "golden/ops/gelu.h"
#include "golden/ops/one_or_each.h"
#include "sim/conform/algorithms.h"

namespace qsim::conform {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 62;
constexpr std::int64_t kLowestB = -(std::int64_t{1} << 31);

struct GeluResults {
  explicit GeluResults(std::size_t size) : out(size), erf_int(size), sigmoid_int(size), y(size) {}
  std::vector<std::int32_t> out;
  std::vector<std::int64_t> erf_int, sigmoid_int, y;
};

GeluResults Run(std::span<const std::int32_t> x, const GeluParams& params,
                std::int64_t row_length = 0) {
  GeluResults results(x.size());
  Gelu(x, params, {.row_length = row_length}, results.out,
       {.erf_int = results.erf_int, .sigmoid_int = results.sigmoid_int, .y = results.y});
  return results;
}

std::int32_t Param32(const ConformCase& c, std::string_view key) {
  return static_cast<std::int32_t>(c.Param(key, INT32_MIN, INT32_MAX));
}

int SmallParam(const ConformCase& c, std::string_view key, int lo, int hi) {
  return static_cast<int>(c.Param(key, lo, hi));
}

CaseTensors IbertGelu(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x");
  const Shape& shape = c.Input("x").shape();
  const std::vector<std::int64_t> b = c.ParamList("b_int", kLowestB, -1);
  const std::vector<std::int64_t> constants = c.ParamList("c_int", -kLargest, -1);
  const std::vector<std::int64_t> shift_int = c.ParamList("shift_int", -kLargest, -1);
  const std::size_t channels = std::max({b.size(), constants.size(), shift_int.size()});
  for (const std::vector<std::int64_t>* list : {&b, &constants, &shift_int}) {
    const auto size = static_cast<std::int64_t>(list->size());
    if (size != 1 && size != RowsOf(shape).width) {
      c.Reject("b_int, c_int and shift_int need one entry or one per last-axis channel");
    }
  }
  std::vector<std::int64_t> erf_int(x.size()), y(x.size());
  for (std::size_t channel = 0; channel < channels; ++channel) {
    const GeluIbertParams params{.b = EntryFor(b, channel),
                                 .c = EntryFor(constants, channel),
                                 .shift_int = EntryFor(shift_int, channel),
                                 .n = SmallParam(c, "n", 0, 30)};
    std::vector<std::int32_t> column;
    for (std::size_t i = channel; i < x.size(); i += channels) column.push_back(x[i]);
    const GeluResults results = Run(column, params);
    for (std::size_t i = 0; i < column.size(); ++i) {
      erf_int[i * channels + channel] = results.erf_int[i];
      y[i * channels + channel] = results.y[i];
    }
  }
  CaseTensors computed;
  computed.emplace("erf_int", MakeCaseTensor(shape, std::move(erf_int)));
  computed.emplace("y", MakeCaseTensor(shape, std::move(y)));
  return computed;
}

CaseTensors ShiftGelu(const ConformCase& c) {
  const Shape& shape = c.Input("x").shape();
  GeluResults results = Run(c.InputValues32("x"),
                            ShiftGeluParams{.x0 = Param32(c, "x0_int"),
                                            .n = SmallParam(c, "n", 0, 30),
                                            .output_bits = SmallParam(c, "output_bits", 1, 32)},
                            RowsOf(shape).width);
  CaseTensors computed;
  computed.emplace("sigmoid_int", MakeCaseTensor(shape, std::move(results.sigmoid_int)));
  computed.emplace("y", MakeCaseTensor(shape, std::move(results.y)));
  return computed;
}

CaseTensors RunToEightBits(const ConformCase& c, const GeluParams& params) {
  const Shape& shape = c.Input("x").shape();
  GeluResults results = Run(c.InputValues32("x"), params);
  CaseTensors computed;
  computed.emplace("y", MakeCaseTensor(shape, std::move(results.y)));
  computed.emplace("y8", MakeCaseTensor(shape, results.out));
  return computed;
}

CaseTensors ItaGelu(const ConformCase& c) {
  return RunToEightBits(c, GeluItaParams{.q_1 = c.Param("q_1", -kLargest, kLargest),
                                         .q_b = c.Param("q_b", kLowestB, -1),
                                         .q_c = c.Param("q_c", -kLargest, kLargest),
                                         .scale = {.m = Param32(c, "eps_mul"),
                                                   .shift = SmallParam(c, "eps_shift", 0, 62)},
                                         .zero = Param32(c, "eps_add")});
}

CaseTensors DeeployGelu(const ConformCase& c) {
  return RunToEightBits(
      c,
      GeluDeeployParams{
          .b = c.Param("b", kLowestB, -1),
          .one = c.Param("one", -kLargest, kLargest),
          .input_zero = static_cast<std::int32_t>(
              -c.ParamOr("input_offset", 0, -std::int64_t{INT32_MAX}, INT32_MAX)),
          .scale = {.m = Param32(c, "mul"), .shift = SmallParam(c, "shift", 0, 62)},
          .addend = c.ParamOr("add", 0, -kLargest, kLargest),
          .zero = static_cast<std::int32_t>(c.ParamOr("output_offset", 0, INT32_MIN, INT32_MAX))});
}

constexpr std::array<ConformAlgorithm, 4> kGeluAlgorithms = {{
    {"gelu", "ibert", IbertGelu},
    {"gelu", "ivit_shiftgelu", ShiftGelu},
    {"gelu", "ita", ItaGelu},
    {"gelu", "deeploy", DeeployGelu},
}};

}  // namespace

std::span<const ConformAlgorithm> GeluAlgorithms() { return kGeluAlgorithms; }

}  // namespace qsim::conform
