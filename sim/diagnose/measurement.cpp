#include "sim/diagnose/measurement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/structure.h"
#include "sim/parallel.h"
#include "sim/semantics/real_weights.h"

namespace qsim::diagnose {
namespace {

constexpr double kRoundingNoise = 1.0 / 12;  // of a step of 1, evenly distributed

struct Bounds {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  void Include(double x) {
    min = std::min(min, x);
    max = std::max(max, x);
  }
  void Include(const Bounds& other) {
    min = std::min(min, other.min);
    max = std::max(max, other.max);
  }
  Span span() const { return {min, max}; }
};

void MergeAll(std::vector<Power>& into, const std::vector<Power>& later) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i].Merge(later[i]);
}

// What one image, or all of them, tell of a step.
struct Seen {
  Power own, in_place;
  std::vector<Power> own_by_head, in_place_by_head;
  Bounds exact, integer;
  std::vector<Bounds> groups;  // of the exact values, one for each scale of the tensor
  double input_energy = 0;     // of a linear layer: sum of (x / s)^2
  double elements = 0;

  void Merge(const Seen& later) {
    own.Merge(later.own);
    in_place.Merge(later.in_place);
    MergeAll(own_by_head, later.own_by_head);
    MergeAll(in_place_by_head, later.in_place_by_head);
    exact.Include(later.exact);
    integer.Include(later.integer);
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i].Include(later.groups[i]);
    input_energy += later.input_energy;
    elements += later.elements;
  }
};

class Taps {
 public:
  explicit Taps(const MixedExecutor& network) : network_(network), steps_(StepsOf(network)) {}

  const std::vector<Step>& steps() const { return steps_; }

  Seen See(const Step& step, const MixedState& exact, const MixedState& golden) const {
    Seen seen;
    const Grid grid = GridOf(step.tensor);
    const FloatTensor& x = exact.at(step.tensor)->real();
    const FloatTensor& y = golden.at(step.tensor)->real();
    const std::size_t heads = HeadsOf(network_.model(), step.tensor);
    if (heads > 1) {
      seen.own_by_head.resize(heads);
      seen.in_place_by_head.resize(heads);
    }
    const AloneTensors alone = RunAlone(network_, step, exact);
    const std::vector<float>& alone_exact = alone.exact->real().data;
    const std::vector<float>& alone_golden = alone.golden->real().data;
    seen.elements = static_cast<double>(x.data.size());
    seen.groups.resize(network_.bundle().scales.at(step.tensor).scale.size());
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      const double reference = static_cast<double>(x.data[i]);
      const double error = static_cast<double>(y.data[i]) - reference;
      const double alone_reference = static_cast<double>(alone_exact[i]);
      const double alone_error = static_cast<double>(alone_golden[i]) - alone_reference;
      seen.in_place.Add(reference, error);
      seen.own.Add(alone_reference, alone_error);
      if (heads > 1) {
        const std::size_t head = HeadOfElement(x.shape, heads, i);
        seen.own_by_head[head].Add(alone_reference, alone_error);
        seen.in_place_by_head[head].Add(reference, error);
      }
      seen.exact.Include(reference);
      seen.integer.Include(static_cast<double>(y.data[i]));
      seen.groups[seen.groups.size() == 1 ? 0 : grid.ChannelOf(i, x.data.size())].Include(
          reference);
    }
    if (const auto linear = LinearIn(step))
      seen.input_energy = InputEnergy(linear->input, x, exact);
    return seen;
  }

  TensorLoss Loss(const Step& step, const Seen& seen) const {
    TensorLoss loss;
    loss.tensor = step.tensor;
    loss.own = seen.own;
    loss.in_place = seen.in_place;
    loss.own_by_head = seen.own_by_head;
    loss.in_place_by_head = seen.in_place_by_head;
    loss.exact = seen.exact.span();
    loss.integer = seen.integer.span();
    const auto linear = LinearIn(step);
    loss.accumulator = linear.has_value();
    loss.expected_noise = linear ? ExpectedOfWeights(step.tensor, *linear, seen.input_energy)
                                 : ExpectedOfRounding(step, seen);
    return loss;
  }

 private:
  std::optional<LinearOperands> LinearIn(const Step& step) const {
    const Op* op = network_.OpOf(step.nodes.back());
    return op == nullptr ? std::nullopt : LinearOperandsOf(*op);
  }

  Grid GridOf(const std::string& tensor) const { return network_.bundle().GridOf(tensor); }

  // Of the rows that the layer reads: as many as it computes.
  double InputEnergy(const std::string& input, const FloatTensor& output,
                     const MixedState& exact) const {
    const Grid grid = GridOf(input);
    const FloatTensor& x = exact.at(input)->real();
    const auto used = static_cast<std::size_t>(output.shape.front() * x.shape.back());
    double energy = 0;
    for (std::size_t i = 0; i < used; ++i) {
      const double units =
          static_cast<double>(x.data[i]) / grid.At(grid.ChannelOf(i, x.data.size())).scale;
      energy += units * units;
    }
    return energy;
  }

  // Weights rounded to as many steps as their codes use, from the largest weight of each scale.
  double ExpectedOfWeights(const std::string& output, const LinearOperands& linear,
                           double input_energy) const {
    const Program& program = network_.bundle().program;
    const FloatTensor& weight = LinearOf(network_.model(), output)->weight;
    const ImageInputs* pixels = network_.PixelsIn(linear.input);
    const TensorScale& scales = network_.bundle().scales.at(linear.weight);
    const auto& codes = program.Constant(linear.weight).As<std::int8_t>();
    const Grid in = GridOf(linear.input);
    const auto depth = static_cast<std::size_t>(weight.shape[1]);
    const std::size_t rows = weight.data.size() / depth;
    int steps = 1;
    for (const std::int8_t code : codes) steps = std::max(steps, std::abs(int{code}));
    std::map<double, double> largest;  // by scale
    for (std::size_t i = 0; i < weight.data.size(); ++i) {
      double& most = largest[scales.At(i / depth).scale];
      const double w = std::abs(WeightOnPixels(weight, i, pixels));
      most = std::max(most, w * in.At(i % depth).scale);
    }
    double squares = 0;
    for (std::size_t n = 0; n < rows; ++n) {
      const double step = largest.at(scales.At(n).scale) / steps;
      squares += step * step;
    }
    return kRoundingNoise * squares * input_energy;
  }

  double ExpectedOfRounding(const Step& step, const Seen& seen) const {
    const TensorInfo& info = network_.bundle().program.Tensor(step.tensor);
    const TensorScale& scale = network_.bundle().scales.at(step.tensor);
    const double elements = seen.elements / static_cast<double>(seen.groups.size());
    if (scale.kind == TensorScale::Kind::kLog2) return seen.own.noise;
    const Op* op = network_.OpOf(step.nodes.back());
    if (op != nullptr && !SuitsAnyGrid(*op)) {
      return kRoundingNoise * elements * scale.scale[0] * scale.scale[0];
    }
    const bool symmetric =
        info.range.qmin < 0 && std::all_of(scale.zero.begin(), scale.zero.end(),
                                           [](std::int32_t zero) { return zero == 0; });
    const double steps = static_cast<double>(info.range.qmax) - info.range.qmin;
    // The next power of two is up to twice what the data need. Behind a norm each channel has its
    // own, of one range.
    const bool snapped = network_.bundle().hardware.power_of_two;
    std::vector<Bounds> ranges = seen.groups;
    if (snapped && std::ranges::max(scale.scale) < 2 * std::ranges::min(scale.scale)) {
      for (const Bounds& group : seen.groups) ranges[0].Include(group);
      std::fill(ranges.begin(), ranges.end(), ranges[0]);
    }
    double noise = 0;
    for (std::size_t g = 0; g < ranges.size(); ++g) {
      const double low = std::min(ranges[g].min, 0.0);
      const double high = std::max(ranges[g].max, 0.0);
      double size = (symmetric ? 2 * std::max(-low, high) : high - low) / steps;
      if (snapped) size = std::clamp(scale.scale[g], size, 2 * size);
      noise += kRoundingNoise * elements * size * size;
    }
    return noise;
  }

  const MixedExecutor& network_;
  std::vector<Step> steps_;
};

}  // namespace

double TensorLoss::ExcessDb() const {
  if (own.noise == 0) return -std::numeric_limits<double>::infinity();
  const double excess = 10 * std::log10(own.noise / expected_noise);
  return std::isnan(excess) ? std::numeric_limits<double>::infinity() : excess;
}

const TensorLoss* Measurement::Find(const std::string& tensor) const {
  const auto found = std::find_if(taps.begin(), taps.end(),
                                  [&](const TensorLoss& t) { return t.tensor == tensor; });
  return found == taps.end() ? nullptr : &*found;
}

Measurement Measure(const BaseRuns& runs, const ModelInputs& inputs, int threads) {
  const Taps taps(runs.network());
  const std::vector<Step>& steps = taps.steps();
  const OutputMeter meter(runs.network(), inputs);
  struct Image {
    std::vector<Seen> seen;
    OutputPower output, exact;
  };
  std::vector<Image> images(static_cast<std::size_t>(runs.images()));
  for (Image& image : images) image.seen.resize(steps.size());
  const auto count = static_cast<std::int64_t>(steps.size());
  runs.ForEach(count + 1, threads, [&](std::int64_t i, const BaseRun& run, std::int64_t task) {
    Image& image = images[static_cast<std::size_t>(i)];
    const auto s = static_cast<std::size_t>(task);
    if (task < count) {
      image.seen[s] = taps.See(steps[s], run.exact, run.golden);
      return;
    }
    image.output = meter.Of(i, run.exact, run.golden, run.golden);
    image.exact = meter.Of(i, run.exact, run.exact, run.exact);
  });
  Measurement result;
  result.output = meter.Zero();
  result.exact = meter.Zero();
  for (const Image& image : images) {
    result.output.Merge(image.output);
    result.exact.Merge(image.exact);
  }
  for (std::size_t s = 0; s < steps.size(); ++s) {
    Seen all = std::move(images[0].seen[s]);
    for (std::size_t i = 1; i < images.size(); ++i) all.Merge(images[i].seen[s]);
    result.taps.push_back(taps.Loss(steps[s], all));
  }
  return result;
}

Power OwnLoss(const BaseRuns& runs, const Step& step, int threads) {
  std::vector<Power> images(static_cast<std::size_t>(runs.images()));
  ParallelFor(runs.images(), threads, [&](std::int64_t i, int) {
    const AloneTensors alone = RunAlone(runs.network(), step, runs.Exact(i));
    images[static_cast<std::size_t>(i)].Add(alone.exact->real().data, alone.golden->real().data);
  });
  Power all;
  for (const Power& image : images) all.Merge(image);
  return all;
}

OutputPower MeasureOutput(const MixedExecutor& network, const BaseRuns& floats,
                          const ModelInputs& inputs, int threads, Exactness exact) {
  const OutputMeter meter(network, inputs);
  std::vector<OutputPower> images(static_cast<std::size_t>(floats.images()));
  ParallelFor(floats.images(), threads, [&](std::int64_t i, int) {
    const MixedState golden = network.RunForOutputs(floats.Start(i), network.AllOf(exact));
    images[static_cast<std::size_t>(i)] = meter.Of(i, floats.Exact(i), golden, golden);
  });
  OutputPower all = meter.Zero();
  for (const OutputPower& image : images) all.Merge(image);
  return all;
}

}  // namespace qsim::diagnose
