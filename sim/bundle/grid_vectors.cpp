#include "sim/bundle/grid_vectors.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/bundle/grid_vectors.cpp"
#include <hwy/foreach_target.h>
// After it: what is compiled for each instruction set.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::bundle::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Single: the same code with vectors of one lane, for what is left of a run.
using Doubles = hn::ScalableTag<double>;
using Single = hn::CappedTag<double, 1>;

// One run of elements: an entry of scale and zero for each of them, or one for all.
struct Run {
  std::size_t begin = 0, count = 0;
  const double* scale = nullptr;
  const double* zero = nullptr;
  bool each = false;
};

template <class D>
HWY_INLINE hn::Vec<D> Entry(D d, const double* entries, bool each, std::size_t i) {
  return each ? hn::LoadU(d, entries + i) : hn::Set(d, *entries);
}

// As std::clamp, zeros' signs included.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ClampOf(D d, const GridLayout& grid, V x) {
  const V lowest = hn::Set(d, grid.lowest), highest = hn::Set(d, grid.highest);
  return hn::IfThenElse(hn::Lt(x, lowest), lowest, hn::IfThenElse(hn::Lt(highest, x), highest, x));
}

// As std::nearbyint, to even; Highway's own for one lane is off where adding 1/2 rounds.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V RoundOf(D d, V x) {
  const V whole = hn::Set(d, 4503599627370496.0);  // from 2^52 on there is nothing to round
  const V magnitude = hn::Abs(x);
  const V rounded = hn::Sub(hn::Add(magnitude, whole), whole);
  return hn::CopySignToAbs(hn::IfThenElse(hn::Lt(magnitude, whole), rounded, magnitude), x);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V UnitsOf(D d, const Run& run, std::size_t i, V x) {
  const V zero = Entry(d, run.zero, run.each, i);
  const V units = hn::Add(hn::Div(x, Entry(d, run.scale, run.each, i)), zero);
  return hn::IfThenElse(hn::IsNaN(units), zero, units);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V RealOf(D d, const Run& run, std::size_t i, V units) {
  return hn::Mul(Entry(d, run.scale, run.each, i), hn::Sub(units, Entry(d, run.zero, run.each, i)));
}

// action(d, run, i) for the places i of every run, with as many lanes as d has.
template <typename Action>
HWY_INLINE void ForEachRun(const GridLayout& grid, std::size_t size, const Action& action) {
  const std::size_t channels = grid.scale.size();
  const bool each = channels > 1 && grid.inner == 1;
  const std::size_t length = channels == 1 ? size : each ? channels : grid.inner;
  const std::size_t lanes = hn::Lanes(Doubles());
  const std::size_t whole = length - length % lanes;
  std::size_t channel = 0;
  for (std::size_t begin = 0; begin < size; begin += length) {
    const Run run = {begin, length, grid.scale.data() + channel, grid.zero.data() + channel, each};
    for (std::size_t i = 0; i < whole; i += lanes) action(Doubles(), run, i);
    for (std::size_t i = whole; i < length; ++i) action(Single(), run, i);
    if (!each) channel = (channel + 1) % channels;
  }
}

struct ToUnits {
  const GridLayout& grid;
  const double* real;
  const Stepping& stepping;
  double* units;
  bool& on_grid;

  template <class D>
  HWY_INLINE void operator()(D d, const Run& run, std::size_t i) const {
    const std::size_t at = run.begin + i;
    auto u = UnitsOf(d, run, i, hn::LoadU(d, real + at));
    if (stepping.round) u = RoundOf(d, u);
    if (stepping.clamp) u = ClampOf(d, grid, u);
    if (!stepping.error.empty()) {
      u = hn::Add(u, hn::LoadU(d, stepping.error.data() + at));
      if (stepping.clamp) u = ClampOf(d, grid, u);
    }
    on_grid = on_grid && hn::AllTrue(d, hn::Eq(u, ClampOf(d, grid, u)));
    hn::StoreU(u, d, units + at);
  }
};

bool UnitsOfEach(const GridLayout& grid, std::span<const double> real, const Stepping& stepping,
                 std::span<double> units) {
  bool on_grid = true;
  ForEachRun(grid, real.size(), ToUnits{grid, real.data(), stepping, units.data(), on_grid});
  return on_grid && stepping.round;
}

struct ToCodes {
  const GridLayout& grid;
  const float* real;
  double* units;
  std::int64_t& changed;

  template <class D>
  HWY_INLINE void operator()(D d, const Run& run, std::size_t i) const {
    const hn::Rebind<float, D> f;
    const std::size_t at = run.begin + i;
    const auto rounded = RoundOf(d, UnitsOf(d, run, i, hn::PromoteTo(d, hn::LoadU(f, real + at))));
    const auto u = ClampOf(d, grid, rounded);
    changed += static_cast<std::int64_t>(hn::CountTrue(d, hn::Ne(u, rounded)));
    hn::StoreU(u, d, units + at);
  }
};

std::int64_t QuantizeEach(const GridLayout& grid, std::span<const float> real,
                          std::span<double> units) {
  std::int64_t changed = 0;
  ForEachRun(grid, real.size(), ToCodes{grid, real.data(), units.data(), changed});
  return changed;
}

struct ToReal {
  double* units;

  template <class D>
  HWY_INLINE void operator()(D d, const Run& run, std::size_t i) const {
    double* const at = units + run.begin + i;
    hn::StoreU(RealOf(d, run, i, hn::LoadU(d, at)), d, at);
  }
};

void RealOfEach(const GridLayout& grid, std::span<double> units) {
  ForEachRun(grid, units.size(), ToReal{units.data()});
}

template <class D, typename T>
HWY_INLINE hn::Vec<D> LoadCodes(D d, const T* codes) {
  if constexpr (std::is_same_v<T, std::int32_t>) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<std::int32_t, D>(), codes));
  } else {
    const hn::Rebind<std::int32_t, D> wide;
    return hn::PromoteTo(d, hn::PromoteTo(wide, hn::LoadU(hn::Rebind<T, D>(), codes)));
  }
}

template <typename T, typename Real>
struct FromCodes {
  const T* codes;
  Real* real;

  template <class D>
  HWY_INLINE void operator()(D d, const Run& run, std::size_t i) const {
    const std::size_t at = run.begin + i;
    const auto value = RealOf(d, run, i, LoadCodes(d, codes + at));
    if constexpr (std::is_same_v<Real, double>) {
      hn::StoreU(value, d, real + at);
    } else {
      const hn::Rebind<float, D> f;
      hn::StoreU(hn::DemoteTo(f, value), f, real + at);
    }
  }
};

template <typename Real>
void Dequantize(const GridLayout& grid, const IntTensor& codes, std::span<Real> real) {
  std::visit(
      [&](const auto& values) HWY_ATTR {
        using T = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (sizeof(T) < sizeof(std::int64_t)) {
          ForEachRun(grid, real.size(), FromCodes<T, Real>{values.data(), real.data()});
        } else {
          for (std::size_t i = 0; i < real.size(); ++i) {
            const std::size_t c = i / grid.inner % grid.scale.size();
            real[i] =
                static_cast<Real>(grid.scale[c] * (static_cast<double>(values[i]) - grid.zero[c]));
          }
        }
      },
      codes.storage());
}

void DequantizeToDouble(const GridLayout& grid, const IntTensor& codes, std::span<double> real) {
  Dequantize(grid, codes, real);
}
void DequantizeToFloat(const GridLayout& grid, const IntTensor& codes, std::span<float> real) {
  Dequantize(grid, codes, real);
}

void CodesOfEach(std::span<const double> units, IntTensor& codes) {
  std::visit(
      [&](auto& values) HWY_ATTR {
        using T = typename std::decay_t<decltype(values)>::value_type;
        std::size_t i = 0;
        if constexpr (sizeof(T) < sizeof(std::int64_t)) {
          const Doubles d;
          const hn::Rebind<std::int32_t, Doubles> wide;
          const hn::Rebind<T, Doubles> narrow;
          for (; i + hn::Lanes(d) <= units.size(); i += hn::Lanes(d)) {
            const auto whole = hn::DemoteTo(wide, hn::LoadU(d, units.data() + i));
            if constexpr (std::is_same_v<T, std::int32_t>) {
              hn::StoreU(whole, narrow, values.data() + i);
            } else {
              hn::StoreU(hn::DemoteTo(narrow, whole), narrow, values.data() + i);
            }
          }
        }
        for (; i < units.size(); ++i) values[i] = static_cast<T>(units[i]);
      },
      codes.storage());
}

}  // namespace qsim::bundle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::bundle {
namespace {

HWY_EXPORT(UnitsOfEach);
HWY_EXPORT(QuantizeEach);
HWY_EXPORT(RealOfEach);
HWY_EXPORT(DequantizeToDouble);
HWY_EXPORT(DequantizeToFloat);
HWY_EXPORT(CodesOfEach);

}  // namespace

bool UnitsOfEach(const GridLayout& grid, std::span<const double> real, const Stepping& stepping,
                 std::span<double> units) {
  return HWY_DYNAMIC_DISPATCH(UnitsOfEach)(grid, real, stepping, units);
}

std::int64_t QuantizeEach(const GridLayout& grid, std::span<const float> real,
                          std::span<double> units) {
  return HWY_DYNAMIC_DISPATCH(QuantizeEach)(grid, real, units);
}

void RealOfEach(const GridLayout& grid, std::span<double> units) {
  HWY_DYNAMIC_DISPATCH(RealOfEach)(grid, units);
}

void DequantizeEach(const GridLayout& grid, const IntTensor& codes, std::span<double> real) {
  HWY_DYNAMIC_DISPATCH(DequantizeToDouble)(grid, codes, real);
}

void DequantizeEach(const GridLayout& grid, const IntTensor& codes, std::span<float> real) {
  HWY_DYNAMIC_DISPATCH(DequantizeToFloat)(grid, codes, real);
}

void CodesOfEach(std::span<const double> units, IntTensor& codes) {
  HWY_DYNAMIC_DISPATCH(CodesOfEach)(units, codes);
}

}  // namespace qsim::bundle
#endif
