#include "sim/diagnose/causes/probe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "golden/program/executor.h"
#include "golden/program/queries.h"
#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/causes/suspect.h"
#include "sim/diagnose/structure.h"
#include "sim/parallel.h"
#include "sim/run/pieces.h"
#include "sim/semantics/float_recurrence.h"
#include "sim/semantics/mixed.h"

namespace qsim::diagnose {
namespace {

// Enough inputs that ranges and shares mean something; few where a single one takes seconds.
std::int64_t ImagesToProbe(const network::Network& model, const ModelInputs& inputs) {
  constexpr std::int64_t kElements = 12'000'000;  // of the stream
  constexpr std::int64_t kMost = 16;
  std::int64_t elements = 1;
  for (const network::Node& node : model.nodes()) {
    if (!node.stream) continue;
    const std::int64_t each = ElementCount(node.shape);
    elements += node.length_axes.empty() ? each : each / node.shape[0] * LengthOf(inputs, 0);
  }
  return std::min(std::clamp<std::int64_t>(kElements / elements, 2, kMost), inputs.count());
}

double SquaredError(const FloatTensor& a, const FloatTensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    const double e = static_cast<double>(a.data[i]) - static_cast<double>(b.data[i]);
    sum += e * e;
  }
  return sum;
}

double SumOfSquares(const FloatTensor& x) {
  double sum = 0;
  for (const float v : x.data) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

// Deviations of the rows, from their means or from 0, in steps.
std::vector<double> DeviationsInSteps(const FloatTensor& x, bool centred, double scale) {
  std::vector<double> deviations;
  const auto row = static_cast<std::size_t>(x.shape.back());
  for (std::size_t begin = 0; begin < x.data.size(); begin += row) {
    double sum = 0;
    double squares = 0;
    for (std::size_t c = 0; c < row; ++c) {
      const auto v = static_cast<double>(x.data[begin + c]);
      sum += v;
      squares += v * v;
    }
    const double mean = centred ? sum / static_cast<double>(row) : 0;
    const double variance = std::max(0.0, squares / static_cast<double>(row) - mean * mean);
    deviations.push_back(std::sqrt(variance) / scale);
  }
  return deviations;
}

class ImageProbe {
 public:
  ImageProbe(const Bundle& bundle, const MixedExecutor& network, const MixedExecutor* remade,
             const std::set<std::string>& differing)
      : bundle_(bundle), network_(network), remade_(remade), differing_(differing) {}

  Probe Run(const MixedState& exact) const {
    Probe probe;
    for (std::size_t node = 0; node < network_.nodes(); ++node) {
      const std::string& name = network_.NameOf(node);
      const Op* producer = network_.OpOf(node);
      if (bundle_.program.Tensor(name).dtype != DType::kInt32 &&
          bundle_.scales.at(name).kind == TensorScale::Kind::kLinear) {
        probe.tensors[name] = UseOf(exact.at(name)->real(), bundle_.GridOf(name));
      }
      if (producer != nullptr) Look(node, *producer, exact, probe);
    }
    return probe;
  }

 private:
  void Look(std::size_t node, const Op& op, const MixedState& exact, Probe& probe) const {
    const std::string& name = OutputOf(op);
    if (const auto linear = LinearOperandsOf(op)) {
      const FloatTensor& x = exact.at(linear->input)->real();
      const auto depth = static_cast<std::size_t>(x.shape.back());
      std::vector<double>& power = probe.column_power[name];
      power.assign(depth, 0);
      for (std::size_t i = 0; i < x.data.size(); ++i) {
        power[i % depth] += static_cast<double>(x.data[i]) * static_cast<double>(x.data[i]);
      }
    }
    if (const auto* state = std::get_if<RecurrenceStateOp>(&op))
      probe.states[name] = UseOfState(node, *state, exact);
    const bool norm = Normalises(*network_.model().NodeOf(name));
    if (!norm && !differing_.contains(name)) return;
    MixedState inputs;
    std::vector<std::string> reads = network_.ReadsOf(node);
    if (remade_ != nullptr) {
      for (std::string& read : remade_->ReadsOf(node)) reads.push_back(std::move(read));
    }
    for (const std::string& read : reads)
      inputs[read] = network_.OnGrid(read, exact.at(read)->real());
    const auto exact_step = network_.Compute(node, Exactness::All(), inputs);
    const FloatTensor& wanted = exact_step->real();
    if (norm) {
      NormInput& in = probe.norms[name];
      const std::string read = InputsOf(op).front();
      const std::vector<double>& scale = bundle_.scales.at(read).scale;
      const auto& layer = std::get<network::LayerNorm>(network_.model().NodeOf(name)->function);
      in.deviation = DeviationsInSteps(exact.at(read)->real(), layer.centred,
                                       *std::min_element(scale.begin(), scale.end()));
      in.signal = SumOfSquares(exact.at(name)->real());
      in.noise = SquaredError(exact.at(name)->real(), wanted);
    }
    if (!differing_.contains(name)) return;
    StepNoise& step = probe.steps[name];
    step.signal = SumOfSquares(wanted);
    const auto is = network_.Compute(node, Exactness::Golden(), inputs);
    const auto should = remade_->Compute(node, Exactness::Golden(), inputs);
    step.noise = SquaredError(wanted, is->real());
    step.remade = SquaredError(wanted, should->real());
    step.elements = static_cast<double>(wanted.data.size());
    for (std::size_t i = 0; i < wanted.data.size(); ++i)
      step.other += is->real().data[i] != should->real().data[i];
  }

  StateUse UseOfState(std::size_t node, const RecurrenceStateOp& op,
                      const MixedState& exact) const {
    const Program& program = bundle_.program;
    GoldenBackend backend;
    RunStats stats;
    Execution execution(program, 0, backend, &stats);
    for (const std::string& input : InputsOf(Op(op)))
      execution.Supply(input, *network_.OnGrid(input, exact.at(input)->real())->codes());
    execution.Step(node - network_.first_op());
    StateUse use;
    use.clamped = stats.saturated[op.output];
    use.updates = exact.at(op.key)->real().shape[0] * ElementCount(program.Tensor(op.output).shape);
    const network::Node& final = *network_.model().NodeOf(op.output);
    std::vector<const FloatTensor*> operands;
    for (const std::string& input : final.inputs) operands.push_back(&exact.at(input)->real());
    const FloatTensor peak =
        FloatStatePeak(std::get<network::FinalState>(final.function), operands);
    bundle_.GridOf(op.output).ForEach(peak.data.size(), [&](std::size_t i, Quantization q) {
      use.peak = std::max(use.peak, std::fabs(static_cast<double>(peak.data[i])) / q.scale);
    });
    const double one = std::ldexp(1.0, op.update.decay_shift);
    for (const float decay : exact.at(op.decay)->real().data) {
      ++use.decays;
      use.kept += decay < 1 && std::nearbyint(static_cast<double>(decay) * one) >= one;
    }
    return use;
  }

  const Bundle& bundle_;
  const MixedExecutor& network_;
  const MixedExecutor* remade_;
  const std::set<std::string>& differing_;
};

void Merge(const Probe& from, Probe& to) {
  for (const auto& [name, use] : from.tensors) Merge(use, to.tensors[name]);
  for (const auto& [name, step] : from.steps) {
    StepNoise& sum = to.steps[name];
    sum.signal += step.signal;
    sum.noise += step.noise;
    sum.remade += step.remade;
    sum.elements += step.elements;
    sum.other += step.other;
  }
  for (const auto& [name, norm] : from.norms) {
    NormInput& all = to.norms[name];
    all.deviation.insert(all.deviation.end(), norm.deviation.begin(), norm.deviation.end());
    all.signal += norm.signal;
    all.noise += norm.noise;
  }
  for (const auto& [name, state] : from.states) {
    StateUse& all = to.states[name];
    all.updates += state.updates;
    all.clamped += state.clamped;
    all.peak = std::max(all.peak, state.peak);
    all.decays += state.decays;
    all.kept += state.kept;
  }
  for (const auto& [name, power] : from.column_power) {
    std::vector<double>& sum = to.column_power[name];
    sum.resize(power.size());
    for (std::size_t k = 0; k < power.size(); ++k) sum[k] += power[k];
  }
}

}  // namespace

TensorUse UseOf(const FloatTensor& x, const Grid& grid) {
  TensorUse use;
  const auto channels = static_cast<std::size_t>(x.shape.back());
  use.channel_min.assign(channels, 0);
  use.channel_max.assign(channels, 0);
  use.count = static_cast<std::int64_t>(x.data.size());
  grid.ForEach(x.data.size(), [&](std::size_t i, Quantization q) {
    const auto v = static_cast<double>(x.data[i]);
    const double units = std::nearbyint(grid.Units(q, v));
    const double kept = grid.Clamped(units);
    const double error = grid.Real(q, kept) - v;
    use.signal += v * v;
    use.mass += std::fabs(v);
    if (grid.Real(q, kept) == 0) use.lost += std::fabs(v);
    use.negative += v < 0;
    // A value that rounds to the code beside the range is saturated by design.
    use.high += units > kept + 1;
    use.low += units < kept - 1;
    (std::fabs(units - kept) > 1 ? use.clipped : use.rounded) += error * error;
    use.channel_min[i % channels] = std::min(use.channel_min[i % channels], v);
    use.channel_max[i % channels] = std::max(use.channel_max[i % channels], v);
  });
  return use;
}

void Merge(const TensorUse& from, TensorUse& to) {
  to.count += from.count;
  to.high += from.high;
  to.low += from.low;
  to.negative += from.negative;
  to.signal += from.signal;
  to.clipped += from.clipped;
  to.rounded += from.rounded;
  to.mass += from.mass;
  to.lost += from.lost;
  to.channel_min.resize(from.channel_min.size());
  to.channel_max.resize(from.channel_max.size());
  for (std::size_t c = 0; c < from.channel_min.size(); ++c) {
    to.channel_min[c] = std::min(to.channel_min[c], from.channel_min[c]);
    to.channel_max[c] = std::max(to.channel_max[c], from.channel_max[c]);
  }
}

double TensorUse::Min() const { return *std::min_element(channel_min.begin(), channel_min.end()); }
double TensorUse::Max() const { return *std::max_element(channel_max.begin(), channel_max.end()); }
double TensorUse::ClippedShare() const {
  return static_cast<double>(high + low) / static_cast<double>(count);
}
double TensorUse::QsnrDb() const { return Db(signal, clipped + rounded); }

Probe RunProbe(const DiagnosisSubject& subject, const ModelInputs& inputs, const Bundle& remade,
               const std::set<std::string>& differing, int threads) {
  const MixedExecutor network(subject.bundle, subject.model, inputs, Wiring::kAny);
  std::optional<MixedExecutor> other;
  if (!differing.empty()) other.emplace(remade, subject.model, inputs, Wiring::kAny);
  const ImageProbe image_probe(subject.bundle, network, other ? &*other : nullptr, differing);
  const std::int64_t images = ImagesToProbe(subject.model, inputs);
  const BaseRuns runs(network, images, &inputs == &subject.inputs ? subject.runs : nullptr);
  std::vector<Probe> probes(static_cast<std::size_t>(images));
  ParallelFor(images, threads, [&](std::int64_t image, int) {
    probes[static_cast<std::size_t>(image)] = image_probe.Run(runs.Exact(image));
  });
  Probe all;
  for (const Probe& probe : probes) Merge(probe, all);
  // From sums to means over the rows of the layer's input.
  for (auto& [name, power] : all.column_power) {
    const std::string input = InputsOf(*ProducerOf(subject.bundle.program, name)).front();
    const auto count = static_cast<double>(all.tensors.at(input).count);
    for (double& p : power) p /= count / static_cast<double>(power.size());
  }
  return all;
}

}  // namespace qsim::diagnose
