#include "sim/bundle/grid.h"

#include "sim/error.h"

namespace qsim::bundle {

std::int32_t Quantize(double x, Quantization quantization, QuantRange range,
                      std::int64_t* saturated) {
  const double q = std::nearbyint(x / quantization.scale + static_cast<double>(quantization.zero));
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

Grid::Grid(const TensorInfo& info, const TensorScale& scale)
    : info_(&info),
      scale_(&scale),
      size_(static_cast<std::size_t>(ElementCount(info.shape))),
      inner_(size_) {
  if (scale.axis == ChannelAxis::kLast) {
    channels_ = static_cast<std::size_t>(info.shape.back());
    inner_ = 1;
  } else if (scale.axis == ChannelAxis::kFirst) {
    channels_ = static_cast<std::size_t>(info.shape.front());
    inner_ = size_ / channels_;
  }
  if (!log2() && !scale.Fits(channels_)) {
    throw InternalError("the scales of '" + info.name + "' do not fit its channels");
  }
}

IntTensor Grid::Codes(std::span<const double> units) const {
  IntTensor codes(info_->dtype, info_->shape);
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        for (std::size_t i = 0; i < units.size(); ++i) values[i] = static_cast<T>(units[i]);
      },
      codes.storage());
  return codes;
}

IntTensor Grid::Quantize(std::span<const float> real, std::int64_t* saturated) const {
  std::vector<double> units(size_);
  std::int64_t changed = 0;
  ForEach([&](std::size_t i, Quantization q) {
    const double rounded = std::nearbyint(Units(q, static_cast<double>(real[i])));
    units[i] = Clamped(rounded);
    changed += units[i] != rounded;
  });
  if (saturated != nullptr) *saturated += changed;
  return Codes(units);
}

std::vector<double> Grid::Dequantize(const IntTensor& codes) const {
  std::vector<double> real(size_);
  std::visit(
      [&](const auto& values) {
        ForEach([&](std::size_t i, Quantization q) {
          real[i] = Real(q, static_cast<double>(values[i]));
        });
      },
      codes.storage());
  return real;
}

}  // namespace qsim::bundle
