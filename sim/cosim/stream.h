// The host's side of a block: valid/ready streams (docs/rtl.md, "Streams") and random stalls on
// them. Knows nothing of Verilator: a port is anything that converts from and to an integer.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/error.h"
#include "sim/namespaces.h"

namespace qsim::cosim {

// Decides, stream by stream and cycle by cycle, whether the host rests. SplitMix64 (Steele et al.,
// OOPSLA 2014), so that every platform draws the same.
class StallGenerator {
 public:
  StallGenerator() = default;
  // probability in 0..1.
  StallGenerator(double probability, std::uint64_t seed)
      : threshold_(static_cast<std::uint64_t>(probability * 4294967296.0)), state_(seed) {}

  bool Draw() {
    if (threshold_ == 0) return false;
    const bool stall = (Next() >> 32) < threshold_;
    stalled_ = stalled_ || stall;
    return stall;
  }

  // Whether any draw since the last call said stall.
  bool TakeStalled() {
    const bool stalled = stalled_;
    stalled_ = false;
    return stalled;
  }

 private:
  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

  std::uint64_t threshold_ = 0;
  std::uint64_t state_ = 0;
  bool stalled_ = false;
};

// What a unit's run took, and how many tiles left it.
struct RunCost {
  std::uint64_t cycles = 0;
  std::uint64_t stalled_cycles = 0;
  std::uint64_t tiles = 0;
};

// A stream into a block: offers a number of beats, one after the other; a beat stays offered until
// it is taken. put(n) puts beat n on the port.
template <typename Valid, typename Ready, typename Put>
class InputStream {
 public:
  InputStream(std::string_view name, std::uint64_t beats, Valid& valid, const Ready& ready, Put put)
      : name_(name), beats_(beats), valid_(valid), ready_(ready), put_(put) {}

  // Before the clock edge.
  void Offer(StallGenerator& stalls) {
    if (!offered_ && !done() && !stalls.Draw()) {
      put_(position_);
      offered_ = true;
    }
    valid_ = offered_;
  }
  // At the clock edge. Whether a beat moved.
  bool Take() {
    if (!offered_ || !ready_) return false;
    offered_ = false;
    ++position_;
    return true;
  }

  bool done() const { return position_ == beats_; }
  std::string Progress() const { return fmt::format("{} {}/{}", name_, position_, beats_); }

 private:
  std::string_view name_;
  std::uint64_t beats_;
  Valid& valid_;
  const Ready& ready_;
  Put put_;
  std::uint64_t position_ = 0;
  bool offered_ = false;
};

// A stream out of a block, which owes the host a number of beats. get(n) reads beat n from the
// port.
template <typename Valid, typename Ready, typename Get>
class OutputStream {
 public:
  OutputStream(std::string_view name, std::uint64_t beats, const Valid& valid, Ready& ready,
               Get get)
      : name_(name), beats_(beats), valid_(valid), ready_(ready), get_(get) {}

  void Offer(StallGenerator& stalls) { ready_ = !stalls.Draw(); }

  // Throws InternalError for a beat too many, taken or not, and for a beat that was offered,
  // refused and withdrawn.
  bool Take() {
    if (!valid_) {
      if (refused_) throw InternalError("the RTL withdrew a beat: " + Progress());
      return false;
    }
    if (done()) throw InternalError("the RTL gives a beat too many: " + Progress());
    refused_ = !ready_;
    if (refused_) return false;
    get_(position_);
    ++position_;
    return true;
  }

  bool offered() const { return valid_; }
  bool done() const { return position_ == beats_; }
  std::string Progress() const { return fmt::format("{} {}/{}", name_, position_, beats_); }

 private:
  std::string_view name_;
  std::uint64_t beats_;
  const Valid& valid_;
  Ready& ready_;
  Get get_;
  std::uint64_t position_ = 0;
  bool refused_ = false;
};

// So many cycles without a beat are a hang: above any pause of a block (an array of 64 x 64 flushes
// for 126 cycles) and of a host that rests with a probability of 0.95.
inline constexpr std::uint64_t kQuietCycles = 1000;

// Clocks a block until every beat of every stream has moved and it is idle: what a run costs then
// does not depend on the runs before it. settle() evaluates the
// ports before the clock edge, edge() is the edge. Adds to *cost. Throws InternalError when the
// block is idle although it offers a beat or beats are missing, when no beat moves for
// kQuietCycles, and when cost->cycles reaches cycle_limit.
template <typename Settle, typename Edge, typename Idle, typename Output, typename Command,
          typename... Inputs>
void RunStreams(StallGenerator& stalls, std::uint64_t cycle_limit, RunCost* cost, Settle settle,
                Edge edge, const Idle& idle, Output& output, Command& command, Inputs&... inputs) {
  const auto fail = [&](const std::string& what) {
    std::string progress = output.Progress() + ", " + command.Progress();
    ((progress += ", " + inputs.Progress()), ...);
    throw InternalError(what + "; beats moved: " + progress);
  };
  std::uint64_t quiet = 0;
  while (true) {
    if (command.done() && idle) {
      if (output.offered()) fail("the RTL is idle and offers a beat");
      if (output.done() && (inputs.done() && ...)) return;
      fail("the RTL is idle before every beat has moved");
    }
    if (cost->cycles >= cycle_limit || quiet >= kQuietCycles) {
      fail(fmt::format("no {} after {} cycles: the RTL hangs",
                       quiet >= kQuietCycles ? "beat" : "end",
                       quiet >= kQuietCycles ? quiet : cost->cycles));
    }
    command.Offer(stalls);
    (inputs.Offer(stalls), ...);
    output.Offer(stalls);
    settle();
    bool moved = command.Take();
    ((moved |= inputs.Take()), ...);
    moved |= output.Take();
    quiet = moved ? 0 : quiet + 1;
    edge();
    ++cost->cycles;
    if (stalls.TakeStalled()) ++cost->stalled_cycles;
  }
}

}  // namespace qsim::cosim
