// Family quantize: real numbers at the boundary, docs/numerics.md section 1.
#include <array>

#include "golden/ops/one_or_each.h"
#include "sim/bundle/grid.h"
#include "sim/conform/algorithms.h"

namespace qsim::conform {
namespace {

template <QuantizeRule kRule>
CaseTensors RunQuantize(const ConformCase& c) {
  const DoubleTensor& x = c.RealInput("x");
  const DoubleTensor& scale = c.RealInput("scale");
  const std::vector<std::int64_t> zero = c.InputValues("zero_point", -65536, 65536);
  const QuantRange range = {static_cast<std::int32_t>(c.Param("qmin", -32768, 0)),
                            static_cast<std::int32_t>(c.Param("qmax", 1, 65535))};
  const auto channels = static_cast<std::size_t>(x.shape.empty() ? 1 : x.shape.back());
  for (const std::size_t entries : {scale.data.size(), zero.size()}) {
    if (entries != 1 && entries != channels)
      c.Reject("'scale' and 'zero_point' need one entry, or one for each of x's last axis");
  }
  for (const double s : scale.data) {
    if (!(s > 0)) c.Reject("'scale' must be above 0");
  }
  std::vector<std::int64_t> codes;
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const Quantization q = {EntryFor(scale.data, i % channels),
                            static_cast<std::int32_t>(EntryFor(zero, i % channels))};
    codes.push_back(Quantize(x.data[i], q, range, nullptr, kRule));
  }
  CaseTensors results;
  results["q"] = MakeCaseTensor(x.shape, std::move(codes));
  return results;
}

}  // namespace

std::span<const ConformAlgorithm> QuantizeAlgorithms() {
  static constexpr std::array<ConformAlgorithm, 3> kAlgorithms = {{
      {"quantize", "qsim", RunQuantize<QuantizeRule::kZeroThenHalfEven>},
      {"quantize", "onnx", RunQuantize<QuantizeRule::kHalfEvenThenZero>},
      {"quantize", "tflite", RunQuantize<QuantizeRule::kHalfAwayThenZero>},
  }};
  return kAlgorithms;
}

}  // namespace qsim::conform
