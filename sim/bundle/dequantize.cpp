#include "sim/bundle/dequantize.h"

#include <cmath>

#include "sim/error.h"

namespace qsim {
namespace {

struct AxisLayout {
  std::int64_t channels = 1;
  std::int64_t inner = 1;
};

AxisLayout LayoutOf(const Shape& shape, ChannelAxis axis) {
  if (axis == ChannelAxis::kNone || shape.empty()) return {};
  if (axis == ChannelAxis::kLast) return {shape.back(), 1};
  const std::int64_t rest = ElementCount(Shape(shape.begin() + 1, shape.end()));
  return {shape.front(), rest};
}

template <typename T>
T OneOrPerChannel(const std::vector<T>& list, std::int64_t channel) {
  return list.size() == 1 ? list.front() : list[static_cast<std::size_t>(channel)];
}

}  // namespace

std::vector<double> Dequantize(const IntTensor& tensor, const TensorScale& scale, int code_bits) {
  const std::int64_t count = tensor.size();
  std::vector<double> real(static_cast<std::size_t>(count));
  if (scale.kind == TensorScale::Kind::kLog2) {
    const std::int64_t zero_flag = std::int64_t{1} << code_bits;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t code = tensor.At(i);
      if (code != zero_flag)
        real[static_cast<std::size_t>(i)] = std::ldexp(1.0, -static_cast<int>(code));
    }
    return real;
  }
  const AxisLayout layout = LayoutOf(tensor.shape(), scale.axis);
  const auto fits = [&](std::size_t size) {
    return size == 1 || (size != 0 && static_cast<std::int64_t>(size) == layout.channels);
  };
  if (!fits(scale.scale.size()) || !fits(scale.zero.size()))
    throw InternalError("Dequantize: scale lists match neither one entry nor the channel axis");
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t channel = (i / layout.inner) % layout.channels;
    const std::int64_t centred = tensor.At(i) - OneOrPerChannel(scale.zero, channel);
    real[static_cast<std::size_t>(i)] =
        OneOrPerChannel(scale.scale, channel) * static_cast<double>(centred);
  }
  return real;
}

}  // namespace qsim
