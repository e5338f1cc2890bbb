// Families requant/*: docs/numerics.md sections 4.5 to 4.14.
#include <algorithm>
#include <array>
#include <utility>

#include "golden/ops/one_or_each.h"
#include "golden/ops/requant/cmsisnn.h"
#include "golden/ops/requant/deeploy.h"
#include "golden/ops/requant/ibert.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/requant/tosa.h"
#include "sim/conform/algorithms.h"
#include "sim/conform/requant_rtl.h"

namespace qsim::conform {
namespace {

enum class ParameterAxis : std::uint8_t { kElement, kFirst, kLast };

// The values of a case, and the parameters of each: one for all, or one per element or channel.
struct Operands {
  Shape shape;
  std::vector<std::int64_t> v;
  ChannelLayout layout;
  std::vector<std::int64_t> m, shift, add;

  // compute(v, m, shift, add) of every element.
  template <typename Compute>
  CaseTensors Map(Compute compute) const {
    std::vector<std::int64_t> y(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::int64_t channel = layout.ChannelOf(static_cast<std::int64_t>(i));
      y[i] = compute(v[i], static_cast<std::int32_t>(EntryFor(m, channel)),
                     static_cast<int>(EntryFor(shift, channel)), EntryFor(add, channel));
    }
    CaseTensors computed;
    computed.emplace("y", MakeCaseTensor(shape, std::move(y)));
    return computed;
  }

  // For the RTL, with the scheme's right shift in place of the source's.
  template <typename RightShift>
  RequantRtlRun Rtl(RequantScheme scheme, RightShift right_shift) const {
    RequantRtlRun run{.shape = shape, .v = v, .layout = layout, .scheme = scheme};
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      run.multipliers.emplace_back(EntryFor(m, c), right_shift(EntryFor(shift, c)));
    }
    return run;
  }
  RequantRtlRun Rtl(RequantScheme scheme) const {
    return Rtl(scheme, [](std::int64_t s) { return s; });
  }
};

ChannelLayout LayoutOf(const ConformCase& c, const Shape& shape, ParameterAxis axis,
                       std::int64_t entries) {
  const std::int64_t elements = ElementCount(shape);
  if (entries == 1) return {1, 1, elements};
  if (entries == 0) c.Reject("a parameter is empty");
  if (entries == elements && axis == ParameterAxis::kElement) return {1, elements, 1};
  if (!shape.empty() && axis == ParameterAxis::kFirst && entries == shape.front()) {
    return {1, entries, elements / entries};
  }
  if (!shape.empty() && axis == ParameterAxis::kLast && entries == shape.back()) {
    return {elements / entries, entries, 1};
  }
  c.Reject("the parameters have neither one entry nor one per element or channel of the values");
}

// The input tensors that hold them; a source without shift or addend has none.
struct Names {
  const char* v;
  const char* m;
  const char* shift = nullptr;
  const char* add = nullptr;
};

Operands Read(const ConformCase& c, ParameterAxis axis, const Names& names,
              std::int64_t highest_m = kInt32Max) {
  const auto parameter = [&](const char* name, std::int64_t lo, std::int64_t hi) {
    return name == nullptr ? std::vector<std::int64_t>{0} : c.InputValues(name, lo, hi);
  };
  Operands operands{.shape = c.Input(names.v).shape(),
                    .v = c.InputValues(names.v),
                    .layout = {},
                    .m = parameter(names.m, kInt32Min, highest_m),
                    .shift = parameter(names.shift, -1200, 1200),
                    .add = parameter(names.add, INT64_MIN, INT64_MAX)};
  const std::size_t entries =
      std::max({operands.m.size(), operands.shift.size(), operands.add.size()});
  for (const auto* values : {&operands.m, &operands.shift, &operands.add}) {
    if (values->size() != entries && values->size() != 1) {
      c.Reject("the parameters disagree about the number of channels");
    }
  }
  operands.layout = LayoutOf(c, operands.shape, axis, static_cast<std::int64_t>(entries));
  return operands;
}

Operands ReadScaled(const ConformCase& c) {
  return Read(c, ParameterAxis::kElement, {"v", "multiplier", "shift"});
}

CaseTensors TfliteDouble(const ConformCase& c) {
  return ReadScaled(c).Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t) {
    return TfliteDoubleRounding(v, m, shift);
  });
}

CaseTensors TfliteSingle(const ConformCase& c) {
  return ReadScaled(c).Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t) {
    return TfliteSingleRounding(v, m, shift);
  });
}

CaseTensors CmsisnnS64(const ConformCase& c) {
  return ReadScaled(c).Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t) {
    return CmsisnnRequantizeS64(v, m, shift);
  });
}

// Left shifts of the source, s, as right shifts: kBase - s.
template <RequantScheme kScheme, int kBase>
std::optional<CaseTensors> LeftShiftRtl(const ConformCase& c, Backend& rtl) {
  return RunRequantRtl(ReadScaled(c).Rtl(kScheme, [](std::int64_t s) { return kBase - s; }), rtl);
}

CaseTensors Tosa32(const ConformCase& c) {
  const bool double_round = c.Flag("double_round", false);
  return ReadScaled(c).Map([=](std::int64_t v, std::int32_t m, int shift, std::int64_t) {
    return TosaScale32(v, m, shift, double_round);
  });
}

std::optional<CaseTensors> Tosa32Rtl(const ConformCase& c, Backend& rtl) {
  const bool double_round = c.Flag("double_round", false);
  return RunRequantRtl(ReadScaled(c).Rtl(double_round ? RequantScheme::kTosaScale32Double
                                                      : RequantScheme::kTosaScale32),
                       rtl);
}

CaseTensors Tosa16(const ConformCase& c) {
  return ReadScaled(c).Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t) {
    return TosaScale16(v, m, shift);
  });
}

std::optional<CaseTensors> Tosa16Rtl(const ConformCase& c, Backend& rtl) {
  return RunRequantRtl(ReadScaled(c).Rtl(RequantScheme::kTosaScale16), rtl);
}

Operands ReadIta(const ConformCase& c, ParameterAxis axis) {
  return Read(c, axis, {"v", "mult", "shift", "add"});
}

std::int64_t ClampInt8(Int128 value) {
  return static_cast<std::int64_t>(std::clamp<Int128>(value, -128, 127));
}

CaseTensors ItaRequant(const ConformCase& c) {
  return ReadIta(c, ParameterAxis::kFirst)
      .Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t add) {
        return ClampInt8(ItaRequantize(v, m, shift) + add);
      });
}

CaseTensors ItaRtl(const ConformCase& c) {
  return ReadIta(c, ParameterAxis::kElement)
      .Map([](std::int64_t v, std::int32_t m, int shift, std::int64_t add) {
        return ClampInt8(Int128{ItaRtlRequantize(v, m, shift)} + add);
      });
}

template <RequantScheme kScheme, ParameterAxis kAxis>
std::optional<CaseTensors> ItaOnRtl(const ConformCase& c, Backend& rtl) {
  const Operands operands = ReadIta(c, kAxis);
  RequantRtlRun run = operands.Rtl(kScheme);
  run.addend = operands.add;
  run.range = {-128, 127};
  return RunRequantRtl(run, rtl);
}

struct RequantShiftCase {
  Operands operands;
  bool rounding = false;
  std::int64_t input_offset = 0, output_offset = 0;
  QuantRange range;
};

RequantShiftCase ReadRequantShift(const ConformCase& c) {
  RequantShiftCase shift{.operands = Read(c, ParameterAxis::kLast, {"v", "mul", nullptr, "add"}),
                         .rounding = c.Flag("rounding", false),
                         .input_offset = c.ParamOr("input_offset", 0, kInt32Min, kInt32Max),
                         .output_offset = c.ParamOr("output_offset", 0, kInt32Min, kInt32Max),
                         .range = {}};
  shift.operands.shift = {c.Param("log2D", 0, 62)};
  shift.range.qmin = static_cast<std::int32_t>(c.Param("output_min", kInt32Min, kInt32Max));
  shift.range.qmax = static_cast<std::int32_t>(c.Param("output_max", shift.range.qmin, kInt32Max));
  for (std::int64_t& v : shift.operands.v) {
    if (__builtin_add_overflow(v, shift.input_offset, &v)) c.Reject("'v' leaves 64 bits");
  }
  return shift;
}

CaseTensors RequantShiftGolden(const ConformCase& c) {
  const RequantShiftCase shift = ReadRequantShift(c);
  return shift.operands.Map([&](std::int64_t v, std::int32_t m, int log2d, std::int64_t add) {
    const Int128 y = Int128{RequantShift(v, m, add, log2d, shift.rounding)} + shift.output_offset;
    return static_cast<std::int64_t>(std::clamp<Int128>(y, shift.range.qmin, shift.range.qmax));
  });
}

std::optional<CaseTensors> RequantShiftRtl(const ConformCase& c, Backend& rtl) {
  const RequantShiftCase shift = ReadRequantShift(c);
  RequantRtlRun run = shift.operands.Rtl(RequantScheme::kRequantShift);
  run.rounding = shift.rounding ? Rounding::kHalfUp : Rounding::kFloor;
  run.addend = shift.operands.add;
  run.zero = shift.output_offset;
  run.range = shift.range;
  return RunRequantRtl(run, rtl);
}

constexpr std::int64_t kHighestDyadic = std::int64_t{1} << 31;

Operands ReadDyadic(const ConformCase& c, const Names& names) {
  return Read(c, ParameterAxis::kLast, names, kHighestDyadic);
}

Dyadic RatioOf(const Operands& operands, std::size_t element) {
  const std::int64_t channel = operands.layout.ChannelOf(static_cast<std::int64_t>(element));
  return {EntryFor(operands.m, channel), static_cast<int>(EntryFor(operands.shift, channel))};
}

CaseTensors IbertDyadic(const ConformCase& c) {
  const int bits = static_cast<int>(c.Param("bits", 1, 32));
  const Operands z = ReadDyadic(c, {"z", "m", "e"});
  std::vector<std::int64_t> y(z.v.size());
  if (c.HasInput("identity")) {
    const Operands identity = ReadDyadic(c, {"identity", "identity_m", "identity_e"});
    if (identity.shape != z.shape) c.Reject("'identity' and 'z' differ in shape");
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = DyadicResidual(z.v[i], RatioOf(z, i), identity.v[i], RatioOf(identity, i), bits);
    }
  } else {
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = DyadicRequantize(z.v[i], RatioOf(z, i), bits);
  }
  CaseTensors computed;
  computed.emplace("y", MakeCaseTensor(z.shape, std::move(y)));
  return computed;
}

std::optional<CaseTensors> IbertDyadicRtl(const ConformCase& c, Backend& rtl) {
  // The requantizer rounds the sum of both products once.
  if (c.HasInput("identity")) return std::nullopt;
  const int bits = static_cast<int>(c.Param("bits", 1, 32));
  RequantRtlRun run = ReadDyadic(c, {"z", "m", "e"}).Rtl(RequantScheme::kIbertDyadic);
  for (auto& [m, e] : run.multipliers) {
    // 32 bits do not hold 2^31: the same ratio with one shift less.
    if (m == kHighestDyadic || m == -kHighestDyadic) {
      m /= 2;
      --e;
    }
  }
  run.range.qmax = static_cast<std::int32_t>((std::int64_t{1} << (bits - 1)) - 1);
  run.range.qmin = -run.range.qmax - 1;
  return RunRequantRtl(run, rtl);
}

constexpr std::array<ConformAlgorithm, 9> kRequantAlgorithms = {{
    {"requant", "tflite_double_rounding", TfliteDouble,
     LeftShiftRtl<RequantScheme::kTfliteDouble, 31>},
    {"requant", "tflite_single_rounding", TfliteSingle,
     LeftShiftRtl<RequantScheme::kTfliteSingle, 31>},
    {"requant", "cmsisnn_s64", CmsisnnS64, LeftShiftRtl<RequantScheme::kCmsisnnS64, 15>},
    {"requant", "tosa_scale32", Tosa32, Tosa32Rtl},
    {"requant", "tosa_scale16", Tosa16, Tosa16Rtl},
    {"requant", "ita", ItaRequant, ItaOnRtl<RequantScheme::kIta, ParameterAxis::kFirst>},
    {"requant", "ita_rtl", ItaRtl, ItaOnRtl<RequantScheme::kItaRtl, ParameterAxis::kElement>},
    {"requant", "deeploy_requantshift", RequantShiftGolden, RequantShiftRtl},
    {"requant", "ibert_dyadic", IbertDyadic, IbertDyadicRtl},
}};

}  // namespace

std::span<const ConformAlgorithm> RequantAlgorithms() { return kRequantAlgorithms; }

}  // namespace qsim::conform
