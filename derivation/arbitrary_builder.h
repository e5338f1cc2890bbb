// What random instances are made with. Private to derivation/arbitrary*.cpp.
#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "derivation/arbitrary.h"
#include "golden/ops/layernorm/eps.h"

namespace qsim::derivation {

inline constexpr QuantRange kInt8 = {-128, 127};
inline constexpr QuantRange kUint8 = {0, 255};
inline constexpr QuantRange kInt16 = {-32768, 32767};
inline constexpr QuantRange kInt32 = {INT32_MIN, INT32_MAX};

class Builder {
 public:
  explicit Builder(const Draw& draw) : draw_(draw) {}

  std::int64_t Between(std::int64_t lo, std::int64_t hi) const { return draw_(lo, hi); }
  std::int32_t Between32(std::int64_t lo, std::int64_t hi) const {
    return static_cast<std::int32_t>(draw_(lo, hi));
  }
  bool Coin() const { return draw_(0, 1) == 1; }
  template <typename T>
  T Pick(const std::vector<T>& values) const {
    return values[static_cast<std::size_t>(
        Between(0, static_cast<std::int64_t>(values.size()) - 1))];
  }
  // Of squares in units of 4^shift: none, beside those of an 8-bit row, or any.
  std::int64_t AnyEps(int shift) const {
    return Coin() ? 0 : Between(0, Coin() ? 100000 : kMaxNormEps >> 2 * shift);
  }
  Rounding AnyRounding() const { return static_cast<Rounding>(Between(0, 4)); }
  // Mostly within the range, sometimes one of its ends.
  std::int32_t Within(QuantRange range) const {
    const std::int64_t which = Between(0, 9);
    return which == 0 ? range.qmin : which == 1 ? range.qmax : Between32(range.qmin, range.qmax);
  }
  template <typename T = std::int32_t>
  std::vector<T> Many(std::int64_t count, std::int64_t lo, std::int64_t hi) const {
    std::vector<T> values;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(Between(lo, hi)));
    return values;
  }
  // How many entries a list has: one, or one for each channel.
  std::int64_t OneOr(std::int64_t channels) const { return Coin() ? 1 : channels; }
  Shape AnyShape() const {
    Shape shape = {Between(1, 9)};
    while (shape.size() < 5 && Coin()) shape.insert(shape.begin(), Between(1, 3));
    return shape;
  }
  // Not 0: no multiplier is.
  Multiplier AnyMultiplier(int shift_lo, int shift_hi) const {
    const std::int32_t m = Between32(1, INT32_MAX);
    return {Coin() ? m : -m, static_cast<int>(Between(shift_lo, shift_hi))};
  }
  std::vector<Multiplier> Multipliers(std::int64_t count, int shift_lo, int shift_hi) const {
    std::vector<Multiplier> scales;
    for (std::int64_t i = 0; i < count; ++i) scales.push_back(AnyMultiplier(shift_lo, shift_hi));
    return scales;
  }

  IntTensor Values(const TensorInfo& info) const {
    IntTensor tensor(info.dtype, info.shape);
    std::visit(
        [&](auto& storage) {
          using T = typename std::decay_t<decltype(storage)>::value_type;
          for (T& value : storage) value = static_cast<T>(Within(info.range));
        },
        tensor.storage());
    return tensor;
  }

  void Input(const std::string& name, Shape shape, QuantRange range, DType dtype) {
    instance_.program.tensors.push_back({name, std::move(shape), dtype, range});
    instance_.program.inputs.push_back(name);
    instance_.inputs[name] = Values(instance_.program.tensors.back());
  }
  void Input(const std::string& name, Shape shape, QuantRange range) {
    Input(name, std::move(shape), range, StorageFor(range));
  }
  void Output(Shape shape, QuantRange range, DType dtype) {
    instance_.program.tensors.push_back({"y", std::move(shape), dtype, range});
  }
  void Output(Shape shape, QuantRange range) { Output(std::move(shape), range, StorageFor(range)); }
  void Constant(const std::string& name, IntTensor tensor) {
    instance_.program.constants[name] = std::move(tensor);
  }
  const Program& program() const { return instance_.program; }

  // Of a product whose shapes are known: wide enough by proof, or with a policy that acts.
  template <typename Product>
  void GiveAccumulator(Product& op) {
    op.acc = {32, AccPolicy::kError};
    if (Coin()) {
      op.acc = {static_cast<int>(Between(16, 32)),
                Coin() ? AccPolicy::kWrap : AccPolicy::kSaturate};
    }
  }

  Instance Take(Op op) {
    instance_.program.ops = {std::move(op)};
    return std::move(instance_);
  }

 private:
  const Draw& draw_;
  Instance instance_;
};

}  // namespace qsim::derivation
