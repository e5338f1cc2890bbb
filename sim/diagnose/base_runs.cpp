#include "sim/diagnose/base_runs.h"

#include <algorithm>

#include "sim/parallel.h"

namespace qsim::diagnose {
namespace {

constexpr double kMostBytes = 1.5e9;
constexpr double kBytesOfElement = 12;  // float, dequantized, and a code

bool SameInFloat(const MixedExecutor& a, const MixedExecutor& b) {
  if (a.nodes() != b.nodes() || &a.model() != &b.model()) return false;
  for (std::size_t n = 0; n < a.nodes(); ++n) {
    const Op* x = a.OpOf(n);
    const Op* y = b.OpOf(n);
    if (a.NameOf(n) != b.NameOf(n) || (x == nullptr) != (y == nullptr)) return false;
    if (x != nullptr && x->index() != y->index()) return false;
  }
  return true;
}

}  // namespace

BaseRuns::BaseRuns(const MixedExecutor& network, std::int64_t images, const BaseRuns* floats)
    : network_(network), kept_(static_cast<std::size_t>(images)) {
  if (floats != nullptr && SameInFloat(network, floats->network_)) floats_ = floats;
  std::int64_t length = 0;  // of the first input, which stands for all of them
  for (const auto& [name, value] : Start(0)) {
    const Shape& axes = network.bundle().program.Tensor(name).length_axes;
    if (!axes.empty()) length = value->real().shape[static_cast<std::size_t>(axes[0])];
  }
  double elements = 0;
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    const TensorInfo& info = network.bundle().program.Tensor(network.NameOf(n));
    elements += static_cast<double>(ElementCount(AtLength(info, length).shape));
  }
  keeps_ = elements * static_cast<double>(images) * kBytesOfElement <= kMostBytes;
}

template <typename Run>
MixedState BaseRuns::KeptOr(std::optional<MixedState>& kept, bool keep, Run run) {
  if (kept) return *kept;
  MixedState state = run();
  for (const auto& [name, tensor] : state) tensor->real();
  if (keep) kept = state;
  return state;
}

MixedState BaseRuns::Start(std::int64_t image) const {
  if (floats_ != nullptr) return floats_->Start(image);
  return KeptOr(kept_[static_cast<std::size_t>(image)].start, true,
                [&] { return network_.ExactInputs(image); });
}

MixedState BaseRuns::Exact(std::int64_t image) const {
  if (floats_ != nullptr) return floats_->Exact(image);
  return KeptOr(kept_[static_cast<std::size_t>(image)].exact, keeps_,
                [&] { return network_.Run(Start(image), network_.AllOf(Exactness::All())); });
}

MixedState BaseRuns::Golden(std::int64_t image) const {
  return KeptOr(kept_[static_cast<std::size_t>(image)].golden, keeps_,
                [&] { return network_.Run(Start(image), network_.AllOf(Exactness::Golden())); });
}

void BaseRuns::ForEach(std::int64_t tasks, int threads, const Work& work) const {
  for (std::int64_t first = 0; first < images(); first += threads) {
    const std::int64_t count = std::min<std::int64_t>(threads, images() - first);
    std::vector<BaseRun> runs(static_cast<std::size_t>(count));
    ParallelFor(count, threads, [&](std::int64_t i, int) {
      runs[static_cast<std::size_t>(i)] = {Start(first + i), Exact(first + i), Golden(first + i)};
    });
    ParallelFor(count * tasks, threads, [&](std::int64_t i, int) {
      work(first + i / tasks, runs[static_cast<std::size_t>(i / tasks)], i % tasks);
    });
  }
}

}  // namespace qsim::diagnose
