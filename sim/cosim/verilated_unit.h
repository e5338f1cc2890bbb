// What every Verilated block shares: its context, clock, reset, cycle limit and waveform. Included
// by the generated files of one block and size alone.
#pragma once

#include <fmt/format.h>
#include <verilated.h>
#include <verilated_fst_c.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "sim/cosim/stream.h"
#include "sim/cosim/verilated_hooks.h"
#include "sim/error.h"

namespace qsim::cosim {

// Verilator gives a port the narrowest of uint8_t, uint16_t, uint32_t, uint64_t and VlWide<words>.
template <typename Port>
void SetPort(Port& port, std::span<const std::uint32_t> words) {
  if constexpr (std::is_integral_v<Port>) {
    std::uint64_t value = words[0];
    if (words.size() > 1) value |= std::uint64_t{words[1]} << 32;
    port = static_cast<Port>(value);
  } else {
    std::memcpy(port.data(), words.data(), words.size_bytes());
  }
}

template <typename Port>
void GetPort(const Port& port, std::span<std::uint32_t> words) {
  if constexpr (std::is_integral_v<Port>) {
    const std::uint64_t value = port;
    words[0] = static_cast<std::uint32_t>(value);
    if (words.size() > 1) words[1] = static_cast<std::uint32_t>(value >> 32);
  } else {
    std::memcpy(words.data(), port.data(), words.size_bytes());
  }
}

// A number on a port of `width` bits, signed or unsigned; Verilator wants the bits above them
// clear.
template <typename Port>
void SetNumber(Port& port, std::int64_t value, unsigned width) {
  if (value < -(std::int64_t{1} << (width - 1)) || value >= std::int64_t{1} << width) {
    throw InternalError(fmt::format("{} does not fit a command field of {} bits", value, width));
  }
  port = static_cast<Port>(static_cast<std::uint64_t>(value) & ((std::uint64_t{1} << width) - 1));
}

template <typename Model>
class VerilatedUnit {
 public:
  explicit VerilatedUnit(const std::optional<std::filesystem::path>& trace) {
    context_.threads(1);  // else Verilator starts one idle thread per core
    context_.traceEverOn(trace.has_value());
    model_ = std::make_unique<Model>(&context_, "rtl");
    if constexpr (requires { model_->trace(waveform_.get(), 99); }) {
      if (!trace) return;
      waveform_ = std::make_unique<VerilatedFstC>();
      model_->trace(waveform_.get(), 99);
      waveform_->open(trace->c_str());
      if (!waveform_->isOpen()) throw InputError(trace->string() + ": cannot write the waveform");
    } else if (trace) {
      throw InternalError("this model of the RTL writes no waveform");
    }
  }
  ~VerilatedUnit() {
    Enter();
    if (waveform_) waveform_->close();
    model_->final();
    model_.reset();
  }
  VerilatedUnit(const VerilatedUnit&) = delete;
  VerilatedUnit& operator=(const VerilatedUnit&) = delete;

  Model& model() { return *model_; }

  // Brings the block to its initial state, once before the first run and again after a run that
  // threw.
  void ResetIfNeeded() {
    if (!dirty_) return;
    Enter();
    model_->rst_ni = 0;
    for (int i = 0; i < 2; ++i) {
      Settle();
      Edge();
    }
    model_->rst_ni = 1;
    dirty_ = false;
  }

  // RunStreams on the block; `idle` is the port that says whether it is.
  template <typename Idle, typename... Streams>
  void Run(StallGenerator& stalls, std::uint64_t cycle_limit, RunCost* cost, const Idle& idle,
           Streams&... streams) {
    Enter();
    dirty_ = true;
    RunStreams(
        stalls, cycle_limit, cost, [this] { Settle(); }, [this] { Edge(); }, idle, streams...);
    dirty_ = false;
  }

 private:
  // Verilator's runtime finds the context by a thread-local pointer that the last created model has
  // set.
  void Enter() { Verilated::threadContextp(&context_); }

  void Settle() {
    model_->clk_i = 0;
    Evaluate();
  }
  void Edge() {
    model_->clk_i = 1;
    Evaluate();
  }
  void Evaluate() {
    model_->eval();
    if (waveform_) waveform_->dump(context_.time());
    context_.timeInc(1);
    const std::string failure = TakeRtlFailure();
    if (!failure.empty()) throw InternalError(failure);
  }

  VerilatedContext context_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<VerilatedFstC> waveform_;
  bool dirty_ = true;
};

}  // namespace qsim::cosim
