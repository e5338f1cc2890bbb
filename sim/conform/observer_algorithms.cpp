// FQ-ViT's range estimators: scale, zero point and the codes of the last batch.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "golden/ops/one_or_each.h"
#include "sim/calibrate/observe/observer.h"
#include "sim/conform/algorithms.h"

namespace qsim::conform {
namespace {

constexpr std::int64_t kMaxBatches = 1 << 20;

struct ObserverCase {
  Section section;
  QuantRange q;
  bool channel_wise = false;
  std::vector<std::vector<float>> batches;
  std::vector<double> last;  // the last batch as stored
  Shape shape;               // of a batch: [batch, token, channel]

  ChannelLayout Layout(std::size_t elements) const {
    const auto size = static_cast<std::int64_t>(elements);
    return channel_wise ? ChannelLayout{size / shape.back(), shape.back(), 1}
                        : ChannelLayout{1, 1, size};
  }
};

double RealParam(const ConformCase& c, const char* key, double fallback, double lo, double hi) {
  const auto found = c.params().find(key);
  if (found == c.params().end()) return fallback;
  const double value = found->is_number() ? found->get<double>() : lo - 1;
  if (!(value >= lo && value <= hi))
    c.Reject(fmt::format("params.{} must be a number in {}..{}", key, lo, hi));
  return value;
}

ObserverCase Read(const ConformCase& c, ObserverKind kind) {
  ObserverCase read;
  read.q = {static_cast<std::int32_t>(c.Param("qmin", -32768, 0)),
            static_cast<std::int32_t>(c.Param("qmax", 1, 65535))};
  const bool is_signed = c.Flag("signed", read.q.qmin < 0);
  Section& section = read.section;
  section.observer = kind;
  section.is_signed = is_signed;
  section.has_zero_point = !is_signed;
  section.bits = 2;
  while ((1 << section.bits) - 1 < read.q.qmax - read.q.qmin && section.bits < 16) ++section.bits;
  if (RangeOf(section) != read.q) c.Reject("qmin and qmax are not the range of an integer type");
  section.percentile_alpha = RealParam(c, "alpha", 1.0, 0.5, 1);
  section.percentile_sigma = RealParam(c, "sigma", 0.1, 0, 1);
  read.channel_wise = c.params().value("calibration_mode", std::string()) == "channel_wise";
  const std::int64_t batches = c.Param("batches", 1, kMaxBatches);
  for (std::int64_t b = 0; b < batches; ++b) {
    const DoubleTensor& x = c.RealInput("x" + std::to_string(b));
    if (x.shape.empty() || x.data.empty() || (b > 0 && x.shape.back() != read.shape.back())) {
      c.Reject("inputs x0, x1, ... must be (batch, token, channel) with the same channels");
    }
    const auto is_float = [](double v) { return std::abs(v) <= std::numeric_limits<float>::max(); };
    if (!std::all_of(x.data.begin(), x.data.end(), is_float))
      c.Reject(fmt::format("input 'x{}' holds a value beyond float32", b));
    read.shape = x.shape;
    read.batches.emplace_back(x.data.size());
    std::transform(x.data.begin(), x.data.end(), read.batches.back().begin(),
                   [](double v) { return static_cast<float>(v); });
    read.last = x.data;
  }
  return read;
}

// `quantization` has one entry or one per channel.
CaseTensors Results(const ObserverCase& c, const std::vector<Quantization>& quantization,
                    std::vector<double> scales, std::vector<std::int64_t> zeros) {
  const ChannelLayout layout = c.Layout(c.last.size());
  std::vector<std::int64_t> codes(c.last.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto channel = static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(i)));
    codes[i] = Quantize(c.last[i], EntryFor(quantization, channel), c.q);
  }
  const auto shape = [](std::size_t n) { return Shape{static_cast<std::int64_t>(n)}; };
  CaseTensors results;
  results["q"] = MakeCaseTensor(c.shape, std::move(codes));
  const Shape scale_shape = shape(scales.size());
  results["scale"] = DoubleTensor{scale_shape, std::move(scales)};
  const Shape zero_shape = shape(zeros.size());
  results["zero_point"] = MakeCaseTensor(zero_shape, std::move(zeros));
  return results;
}

template <ObserverKind kKind>
CaseTensors RunRange(const ConformCase& c) {
  ObserverCase read = Read(c, kKind);
  if (kKind == ObserverKind::kPtf) read.channel_wise = true;
  std::unique_ptr<Observer> observer;
  for (const std::vector<float>& batch : read.batches) {
    if (!observer) {
      observer = Observer::Make(read.section, read.Layout(batch.size()), ObserverStyle::kPublished);
    }
    const std::span<const float> image = batch;
    observer->Observe({&image, 1});
  }
  const bool zero_point =
      read.section.has_zero_point || kKind == ObserverKind::kOmse || kKind == ObserverKind::kPtf;
  std::vector<Quantization> quantization;
  std::vector<double> scales;
  std::vector<std::int64_t> zeros;
  for (const RealRange& range : observer->Ranges()) {
    quantization.push_back(QuantizationOf(range, read.q, zero_point));
    scales.push_back(quantization.back().scale);
    zeros.push_back(quantization.back().zero);
  }
  // Ptf's channels share one zero point.
  if (kKind == ObserverKind::kPtf) zeros.resize(1);
  return Results(read, quantization, std::move(scales), std::move(zeros));
}

}  // namespace

std::span<const ConformAlgorithm> ObserverAlgorithms() {
  static constexpr std::array<ConformAlgorithm, 5> kAlgorithms = {{
      {"observer", "fqvit_minmax", RunRange<ObserverKind::kMinmax>},
      {"observer", "fqvit_ema", RunRange<ObserverKind::kEma>},
      {"observer", "fqvit_percentile", RunRange<ObserverKind::kPercentile>},
      {"observer", "fqvit_omse", RunRange<ObserverKind::kOmse>},
      {"observer", "fqvit_ptf", RunRange<ObserverKind::kPtf>},
  }};
  return kAlgorithms;
}

}  // namespace qsim::conform
