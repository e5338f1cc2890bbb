#include "sim/diagnose/step_contributions.h"

#include <utility>

namespace qsim::diagnose {
namespace {

void Overlay(MixedState changes, MixedState& state) {
  for (auto& [name, tensor] : changes) state.insert_or_assign(name, std::move(tensor));
}

// One image's experiments. Whatever a step does not reach is taken from the two base states.
class Experiments {
 public:
  Experiments(const MixedExecutor& network, const BaseRun& run)
      : network_(network),
        run_(run),
        all_exact_(network.AllOf(Exactness::All())),
        all_golden_(network.AllOf(Exactness::Golden())),
        front_(run.exact),
        front_modes_(all_exact_) {}

  const MixedState& front() const { return front_; }

  // The step's own error on the float network's values, added to its exact output there.
  MixedState Alone(const Step& step) const {
    const AloneTensors alone = RunAlone(network_, step, run_.exact);
    const std::vector<float>& y = alone.golden->real().data;
    const std::vector<float>& x = alone.exact->real().data;
    FloatTensor out = run_.exact.at(step.tensor)->real();
    for (std::size_t i = 0; i < x.size(); ++i) out.data[i] += y[i] - x[i];
    MixedState replaced;
    replaced[step.tensor] = std::make_shared<MixedTensor>(std::move(out));
    return network_.Change(run_.start, run_.exact, all_exact_, all_exact_, std::move(replaced));
  }

  MixedState Without(const Step& step) const {
    Modes modes = all_golden_;
    for (const std::size_t n : step.nodes) modes[n] = Exactness::All();
    return network_.Change(run_.start, run_.golden, all_golden_, modes);
  }

  // Moves the border between integer and float behind the step.
  void Advance(const Step& step) {
    Modes modes = front_modes_;
    for (std::size_t n = 0; n <= step.nodes.back(); ++n) modes[n] = Exactness::Golden();
    Overlay(network_.Change(run_.start, front_, front_modes_, modes), front_);
    front_modes_ = std::move(modes);
  }

 private:
  const MixedExecutor& network_;
  const BaseRun& run_;
  Modes all_exact_, all_golden_;
  MixedState front_;
  Modes front_modes_;
};

}  // namespace

std::vector<StepContribution> MeasureContributions(const BaseRuns& runs, const ModelInputs& inputs,
                                                   const std::vector<Step>& steps, int threads) {
  const OutputMeter meter(runs.network(), inputs);
  std::vector<StepContribution> effects;
  for (const Step& step : steps) {
    effects.push_back({step.tensor, meter.Zero(), meter.Zero(), meter.Zero()});
  }
  std::vector<std::vector<StepContribution>> images(static_cast<std::size_t>(runs.images()),
                                                    effects);
  // The first task moves the border, step after step; every other one is an experiment of a step.
  const auto count = static_cast<std::int64_t>(steps.size());
  runs.ForEach(1 + 2 * count, threads, [&](std::int64_t i, const BaseRun& run, std::int64_t task) {
    std::vector<StepContribution>& image = images[static_cast<std::size_t>(i)];
    Experiments experiments(runs.network(), run);
    if (task == 0) {
      for (std::size_t s = 0; s < steps.size(); ++s) {
        experiments.Advance(steps[s]);
        image[s].cumulative = meter.Of(i, run.exact, experiments.front(), experiments.front());
      }
      return;
    }
    const auto s = static_cast<std::size_t>((task - 1) / 2);
    if (task % 2 == 1) {
      image[s].alone = meter.Of(i, run.exact, experiments.Alone(steps[s]), run.exact);
    } else {
      image[s].without = meter.Of(i, run.exact, experiments.Without(steps[s]), run.golden);
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
