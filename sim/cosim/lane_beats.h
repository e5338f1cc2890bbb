// Beats of 32-bit lanes between the tensors of the host and the ports of the requantizer's family.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/verilated_unit.h"

namespace qsim::cosim {

template <std::size_t kLanes, typename Port>
void SetLanes(Port& port, std::span<const std::int32_t> values, std::uint64_t beat) {
  std::array<std::uint32_t, kLanes> words{};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    words[lane] = static_cast<std::uint32_t>(values[beat * kLanes + lane]);
  }
  SetPort(port, words);
}

template <std::size_t kLanes, typename ValuePort, typename FlagPort>
void GetLanes(const ValuePort& value_port, const FlagPort& flag_port, std::uint64_t beat,
              std::span<std::int32_t> values, std::span<std::uint8_t> flags) {
  std::array<std::uint32_t, kLanes> words{};
  std::array<std::uint32_t, WordsFor(kLanes)> flag_words{};
  GetPort(value_port, words);
  GetPort(flag_port, flag_words);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    values[beat * kLanes + lane] = static_cast<std::int32_t>(words[lane]);
    flags[beat * kLanes + lane] =
        static_cast<std::uint8_t>((flag_words[lane / 32] >> (lane % 32)) & 1U);
  }
}

}  // namespace qsim::cosim
