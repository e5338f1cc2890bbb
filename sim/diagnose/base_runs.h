// The runs that every experiment starts from or is compared with: each input in float and in
// integers, once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sim/semantics/mixed.h"

namespace qsim::diagnose {

// One input. Every tensor has its real numbers already, so that threads may share them.
struct BaseRun {
  MixedState start;  // the program's inputs before they are quantized
  MixedState exact, golden;
};

class BaseRuns {
 public:
  // `floats`: runs of another network on the same inputs. Where the two are the same in real
  // numbers, its float runs serve this one. Both outlive this.
  BaseRuns(const MixedExecutor& network, std::int64_t images, const BaseRuns* floats = nullptr);

  const MixedExecutor& network() const { return network_; }
  std::int64_t images() const { return static_cast<std::int64_t>(kept_.size()); }

  // Run when they are first asked for, by one thread for each image.
  MixedState Start(std::int64_t image) const;
  MixedState Exact(std::int64_t image) const;
  MixedState Golden(std::int64_t image) const;

  // work(image, run, task) for every task in 0..tasks-1 of every image. All of them run in
  // parallel, of as many images at once as there are threads.
  using Work = std::function<void(std::int64_t image, const BaseRun& run, std::int64_t task)>;
  void ForEach(std::int64_t tasks, int threads, const Work& work) const;

 private:
  struct Kept {
    std::optional<MixedState> start, exact, golden;
  };
  template <typename Run>
  static MixedState KeptOr(std::optional<MixedState>& kept, bool keep, Run run);

  const MixedExecutor& network_;
  const BaseRuns* floats_ = nullptr;  // null: its own
  bool keeps_ = true;                 // every tensor; not where they would fill the memory
  mutable std::vector<Kept> kept_;
};

}  // namespace qsim::diagnose
