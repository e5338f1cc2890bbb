#include "sim/bundle/grid.h"

#include "sim/error.h"

namespace qsim::bundle {

namespace {

double Rounded(double x, Quantization q, QuantizeRule rule) {
  const double zero = static_cast<double>(q.zero);
  switch (rule) {
    case QuantizeRule::kZeroThenHalfEven:
      return std::nearbyint(x / q.scale + zero);
    case QuantizeRule::kHalfEvenThenZero:
      return std::nearbyint(x / q.scale) + zero;
    case QuantizeRule::kHalfAwayThenZero:
      return std::round(x / q.scale) + zero;
  }
  throw InternalError("a quantize rule that is none");
}

}  // namespace

std::int32_t Quantize(double x, Quantization quantization, QuantRange range,
                      std::int64_t* saturated, QuantizeRule rule) {
  const double q = Rounded(x, quantization, rule);
  const double clamped =
      std::clamp(q, static_cast<double>(range.qmin), static_cast<double>(range.qmax));
  if (saturated != nullptr && clamped != q) ++*saturated;
  return static_cast<std::int32_t>(clamped);
}

bool TensorScale::Fits(std::size_t channels) const {
  const auto fits = [&](std::size_t entries) { return entries == 1 || entries == channels; };
  return fits(scale.size()) && fits(zero.size());
}

bool TensorScale::Rewritten() const {
  if (unit.empty() || factor.empty() || factor.size() % unit.size() != 0) return false;
  for (std::size_t c = 0; c < factor.size(); ++c) {
    if (At(c).scale != unit[c * unit.size() / factor.size()] * factor[c]) return false;
  }
  return true;
}

Grid::Grid(const TensorInfo& info, const TensorScale& scale, QuantizeRule rule)
    : info_(&info), scale_(&scale), rule_(rule) {
  if (scale.axis == ChannelAxis::kLast) {
    channels_ = static_cast<std::size_t>(info.shape.back());
  } else if (scale.axis == ChannelAxis::kFirst) {
    channels_ = static_cast<std::size_t>(info.shape.front());
  }
  if (!log2() && !scale.Fits(channels_)) {
    throw InternalError("the scales of '" + info.name + "' do not fit its channels");
  }
}

GridLayout Grid::Layout(std::size_t elements) const {
  GridLayout layout;
  for (std::size_t c = 0; c < channels_; ++c) {
    const Quantization q = At(c);
    layout.scale.push_back(q.scale);
    layout.zero.push_back(static_cast<double>(q.zero));
  }
  layout.inner = Inner(elements);
  layout.lowest = static_cast<double>(info_->range.qmin);
  layout.highest = static_cast<double>(info_->range.qmax);
  return layout;
}

bool Grid::ToUnits(std::span<const double> real, const Stepping& stepping,
                   std::span<double> units) const {
  if (!log2()) return UnitsOfEach(Layout(real.size()), real, stepping, units);
  bool on_grid = stepping.round;
  for (std::size_t i = 0; i < real.size(); ++i) {
    double u = Units({}, real[i]);
    if (stepping.round) u = std::nearbyint(u);
    if (stepping.clamp) u = Clamped(u);
    if (!stepping.error.empty()) u += stepping.error[i];
    if (stepping.clamp) u = Clamped(u);
    on_grid = on_grid && u == Clamped(u);
    units[i] = u;
  }
  return on_grid;
}

void Grid::ToReal(std::span<double> units) const {
  if (!log2()) return RealOfEach(Layout(units.size()), units);
  for (double& u : units) u = Real({}, u);
}

IntTensor Grid::Codes(std::span<const double> units) const {
  IntTensor codes(info_->dtype, ShapeOf(*info_, static_cast<std::int64_t>(units.size())));
  CodesOfEach(units, codes);
  return codes;
}

IntTensor Grid::Quantize(std::span<const float> real, std::int64_t* saturated) const {
  std::vector<double> units(real.size());
  std::int64_t changed = 0;
  if (log2()) {
    for (std::size_t i = 0; i < real.size(); ++i) {
      const double rounded = std::nearbyint(Units({}, static_cast<double>(real[i])));
      units[i] = Clamped(rounded);
      changed += units[i] != rounded;
    }
  } else if (rule_ != QuantizeRule::kZeroThenHalfEven) {
    ForEach(real.size(), [&](std::size_t i, Quantization q) {
      const double rounded = Rounded(static_cast<double>(real[i]), q, rule_);
      units[i] = Clamped(std::isnan(rounded) ? static_cast<double>(q.zero) : rounded);
      changed += units[i] != rounded;
    });
  } else {
    changed = QuantizeEach(Layout(real.size()), real, units);
  }
  if (saturated != nullptr) *saturated += changed;
  return Codes(units);
}

template <typename T>
std::vector<T> Grid::RealOf(const IntTensor& codes) const {
  std::vector<T> real(static_cast<std::size_t>(codes.size()));
  if (log2()) {
    for (std::size_t i = 0; i < real.size(); ++i)
      real[i] =
          static_cast<T>(Real({}, static_cast<double>(codes.At(static_cast<std::int64_t>(i)))));
  } else {
    DequantizeEach(Layout(real.size()), codes, std::span<T>(real));
  }
  return real;
}

std::vector<double> Grid::Dequantize(const IntTensor& codes) const { return RealOf<double>(codes); }

std::vector<float> Grid::DequantizeToFloat(const IntTensor& codes) const {
  return RealOf<float>(codes);
}

}  // namespace qsim::bundle
