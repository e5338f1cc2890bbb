#include "sim/calibrate/lower/linear_quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "sim/calibrate/observe/observer.h"
#include "sim/error.h"

namespace qsim {
namespace {

// The array's second operand is int8: an unsigned code is stored minus half its range.
std::int32_t Recentre(QuantRange range) { return range.qmin < 0 ? 0 : (range.qmax + 1) / 2; }

double LargestBias(const LinearRequest& request, std::int64_t first_row, std::int64_t rows) {
  double largest = 0;
  for (std::int64_t n = first_row; n < first_row + rows; ++n) {
    largest = std::max(largest,
                       std::fabs(static_cast<double>(request.bias[static_cast<std::size_t>(n)])));
  }
  return largest;
}

// Doubling keeps a power-of-two scale a power of two.
double RaiseForBias(const LinearRequest& request, std::int64_t first_row, std::int64_t rows,
                    double scale, std::vector<LoweringNote>& notes) {
  const double largest = LargestBias(request, first_row, rows);
  double raised = scale;
  while (largest / (request.input.scale * raised) > request.bias_limit) raised *= 2;
  if (raised != scale) {
    notes.push_back(
        {LoweringNote::Kind::kRaisedScale, request.name,
         fmt::format(
             "output channel {}: weight scale raised from {:.3g} to {:.3g}, so that its bias "
             "fits the accumulator (a nearly dead channel)",
             first_row, scale, raised)});
  }
  return raised;
}

std::int32_t FoldedBias(const LinearRequest& request, std::size_t row, double scale,
                        std::int32_t weight_zero, std::span<const std::int8_t> weights) {
  const double bias =
      std::nearbyint(static_cast<double>(request.bias[row]) / (request.input.scale * scale));
  std::int64_t folded = static_cast<std::int64_t>(bias);
  for (std::size_t k = 0; k < weights.size(); ++k) {
    folded -= static_cast<std::int64_t>(request.input.zero[k]) * (weights[k] - weight_zero);
  }
  if (folded < std::numeric_limits<std::int32_t>::min() ||
      folded > std::numeric_limits<std::int32_t>::max()) {
    throw InputError(fmt::format("{}: output channel {}: bias {} does not fit int32", request.name,
                                 row, folded));
  }
  return static_cast<std::int32_t>(folded);
}

}  // namespace

QuantizedLinear QuantizeLinear(const LinearRequest& request, std::vector<LoweringNote>& notes) {
  const std::int64_t channels = request.weight.shape[0];
  const std::int64_t depth = request.weight.shape[1];
  const std::int64_t rows = channels / request.row_groups;
  const QuantRange range = RangeOf(request.section);
  const std::int32_t recentre = Recentre(range);

  const auto observer = Observer::Make(request.section, {1, request.row_groups, rows * depth});
  const std::span<const float> values = request.weight.data;
  observer->Observe({&values, 1});
  const std::vector<RealRange> ranges = observer->Ranges();

  QuantizedLinear result;
  result.weight = IntTensor(DType::kInt8, {channels, depth});
  result.bias = IntTensor(DType::kInt32, {channels});
  std::vector<std::int8_t>& weight = result.weight.As<std::int8_t>();
  std::vector<std::int32_t>& bias = result.bias.As<std::int32_t>();
  for (std::int64_t n = 0; n < channels; ++n) {
    const RealRange& observed = ranges[static_cast<std::size_t>(n / rows)];
    if (n % rows == 0) {
      double scale = QuantizationOf(observed, range, request.section.has_zero_point).scale;
      if (request.adjust) scale = request.adjust(n, scale);
      result.scale.push_back(RaiseForBias(request, n, rows, scale, notes));
    } else {
      result.scale.push_back(result.scale.back());
    }
    const Quantization q = {result.scale.back(), ZeroPointFor(observed, result.scale.back(), range,
                                                              request.section.has_zero_point)};
    result.zero.push_back(q.zero - recentre);
    const auto begin = static_cast<std::size_t>(n * depth);
    for (std::size_t k = begin; k < begin + static_cast<std::size_t>(depth); ++k) {
      weight[k] = static_cast<std::int8_t>(
          Quantize(static_cast<double>(request.weight.data[k]), q, range) - recentre);
    }
    bias[static_cast<std::size_t>(n)] = FoldedBias(
        request, static_cast<std::size_t>(n), q.scale, result.zero.back(),
        std::span<const std::int8_t>(weight).subspan(begin, static_cast<std::size_t>(depth)));
  }
  return result;
}

}  // namespace qsim
