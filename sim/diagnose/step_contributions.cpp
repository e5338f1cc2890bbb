#include "sim/diagnose/step_contributions.h"

#include <utility>

#include "sim/parallel.h"

namespace qsim::diagnose {
namespace {

void Overlay(MixedState changes, MixedState& state) {
  for (auto& [name, tensor] : changes) state.insert_or_assign(name, std::move(tensor));
}

// One image's experiments. Whatever a step does not reach is taken from the two base states.
class Experiments {
 public:
  Experiments(const MixedExecutor& network, std::int64_t image)
      : network_(network),
        start_(network.ExactInputs(image)),
        all_exact_(network.AllOf(Exactness::All())),
        all_golden_(network.AllOf(Exactness::Golden())),
        exact_(network.Run(start_, all_exact_)),
        golden_(network.Run(start_, all_golden_)),
        front_(exact_),
        front_modes_(all_exact_) {}

  const MixedState& exact() const { return exact_; }
  const MixedState& golden() const { return golden_; }
  const MixedState& front() const { return front_; }

  // The step's own error on the float network's values, added to its exact output there.
  MixedState Alone(const Step& step) const {
    const AloneTensors alone = RunAlone(network_, step, exact_);
    const std::vector<float>& y = alone.golden->real().data;
    const std::vector<float>& x = alone.exact->real().data;
    FloatTensor out = exact_.at(step.tensor)->real();
    for (std::size_t i = 0; i < x.size(); ++i) out.data[i] += y[i] - x[i];
    MixedState replaced;
    replaced[step.tensor] = std::make_shared<MixedTensor>(std::move(out));
    return network_.Change(start_, exact_, all_exact_, all_exact_, std::move(replaced));
  }

  MixedState Without(const Step& step) const {
    Modes modes = all_golden_;
    for (const std::size_t n : step.nodes) modes[n] = Exactness::All();
    return network_.Change(start_, golden_, all_golden_, modes);
  }

  // Moves the border between integer and float behind the step.
  void Advance(const Step& step) {
    Modes modes = front_modes_;
    for (std::size_t n = 0; n <= step.nodes.back(); ++n) modes[n] = Exactness::Golden();
    Overlay(network_.Change(start_, front_, front_modes_, modes), front_);
    front_modes_ = std::move(modes);
  }

 private:
  const MixedExecutor& network_;
  MixedState start_;
  Modes all_exact_, all_golden_;
  MixedState exact_, golden_;
  MixedState front_;
  Modes front_modes_;
};

}  // namespace

std::vector<StepContribution> MeasureContributions(const MixedExecutor& network,
                                                   const ModelInputs& inputs,
                                                   const std::vector<Step>& steps, int threads) {
  const OutputMeter meter(network, inputs);
  std::vector<StepContribution> effects;
  for (const Step& step : steps) {
    effects.push_back({step.tensor, meter.Zero(), meter.Zero(), meter.Zero()});
  }
  std::vector<std::vector<StepContribution>> images(static_cast<std::size_t>(inputs.count()),
                                                    effects);
  ParallelFor(inputs.count(), threads, [&](std::int64_t i, int) {
    Experiments run(network, i);
    for (std::size_t s = 0; s < steps.size(); ++s) {
      StepContribution& effect = images[static_cast<std::size_t>(i)][s];
      effect.alone = meter.Of(i, run.exact(), run.Alone(steps[s]), run.exact());
      effect.without = meter.Of(i, run.exact(), run.Without(steps[s]), run.golden());
      run.Advance(steps[s]);
      effect.cumulative = meter.Of(i, run.exact(), run.front(), run.front());
    }
  });
  for (const auto& image : images) {
    for (std::size_t s = 0; s < steps.size(); ++s) {
      effects[s].alone.Merge(image[s].alone);
      effects[s].without.Merge(image[s].without);
      effects[s].cumulative.Merge(image[s].cumulative);
    }
  }
  return effects;
}

}  // namespace qsim::diagnose
