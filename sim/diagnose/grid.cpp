#include "sim/diagnose/grid.h"

#include <algorithm>
#include <cmath>

namespace qsim {

Grid::Grid(const TensorInfo& info, const TensorScale& scale) : info_(info), scale_(scale) {
  const auto size = static_cast<std::size_t>(ElementCount(info.shape));
  if (scale.axis == ChannelAxis::kFirst) {
    channels_ = static_cast<std::size_t>(info.shape.front());
    inner_ = std::max<std::size_t>(size / channels_, 1);
  } else if (scale.axis == ChannelAxis::kLast) {
    channels_ = static_cast<std::size_t>(info.shape.back());
  }
}

double Grid::Units(std::size_t element, double x) const {
  if (scale_.kind == TensorScale::Kind::kLog2) {
    const double zero_flag = static_cast<double>(info_.range.qmax);
    return x > 0 ? std::min(-std::log2(x), zero_flag) : zero_flag;
  }
  const std::size_t c = ChannelOf(element);
  const double units = x / ScaleAt(c) + static_cast<double>(ZeroAt(c));
  return std::isnan(units) ? static_cast<double>(ZeroAt(c)) : units;
}

double Grid::Real(std::size_t element, double units) const {
  if (scale_.kind == TensorScale::Kind::kLog2) {
    return units >= static_cast<double>(info_.range.qmax) ? 0 : std::exp2(-units);
  }
  const std::size_t c = ChannelOf(element);
  return ScaleAt(c) * (units - static_cast<double>(ZeroAt(c)));
}

double Grid::Clamped(double units) const {
  return std::clamp(units, static_cast<double>(info_.range.qmin),
                    static_cast<double>(info_.range.qmax));
}

IntTensor Grid::Codes(const std::vector<double>& units) const {
  IntTensor codes(info_.dtype, info_.shape);
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        for (std::size_t i = 0; i < units.size(); ++i) values[i] = static_cast<T>(units[i]);
      },
      codes.storage());
  return codes;
}

}  // namespace qsim
