// The host's side of a valid/ready stream, and the random stalls on it.
#pragma once

#include <cstdint>

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

// Offers a number of beats, one after the other; a beat stays offered until it is taken.
class StreamSource {
 public:
  explicit StreamSource(std::uint64_t beats) : beats_(beats) {}

  // Before the clock edge. True when a new beat, number `position()`, has to be put on the port.
  bool Offer(StallGenerator& stalls) {
    if (offered_ || position_ == beats_ || stalls.Draw()) return false;
    offered_ = true;
    return true;
  }
  // After the clock edge.
  void Taken() {
    offered_ = false;
    ++position_;
  }

  bool offered() const { return offered_; }
  std::uint64_t position() const { return position_; }
  bool done() const { return position_ == beats_; }

 private:
  std::uint64_t beats_;
  std::uint64_t position_ = 0;
  bool offered_ = false;
};

// What a unit's run took.
struct RunCost {
  std::uint64_t cycles = 0;
  std::uint64_t stalled_cycles = 0;
};

}  // namespace qsim::cosim
