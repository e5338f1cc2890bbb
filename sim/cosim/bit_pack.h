// A port's value as 32-bit words, lowest first, with fields of any width laid out without gaps:
// lane i of width w is bits [i*w, i*w + w), as the modules of rtl/ lay out their lanes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qsim::cosim {

constexpr std::size_t WordsFor(std::size_t bits) { return (bits + 31) / 32; }

// Puts the low `width` (1..32) bits of value at lane `lane`. The bits there must be zero.
inline void PackLane(std::span<std::uint32_t> words, std::size_t lane, unsigned width,
                     std::uint32_t value) {
  const std::size_t bit = lane * width;
  const unsigned offset = static_cast<unsigned>(bit % 32);
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  const std::uint64_t field = (value & mask) << offset;
  words[bit / 32] |= static_cast<std::uint32_t>(field);
  if (offset + width > 32) words[bit / 32 + 1] |= static_cast<std::uint32_t>(field >> 32);
}

// Beats one after the other in one buffer, zero at first.
class BeatBuffer {
 public:
  BeatBuffer() = default;
  BeatBuffer(std::size_t beats, std::size_t lanes, unsigned width)
      : width_(width), stride_(WordsFor(lanes * width)), words_(beats * stride_) {}

  void Set(std::size_t beat, std::size_t lane, std::uint32_t value) {
    PackLane(std::span(words_).subspan(beat * stride_, stride_), lane, width_, value);
  }
  // `count` beats from `first` on.
  std::span<const std::uint32_t> Beats(std::size_t first, std::size_t count) const {
    return std::span(words_).subspan(first * stride_, count * stride_);
  }

 private:
  unsigned width_ = 0;
  std::size_t stride_ = 0;
  std::vector<std::uint32_t> words_;
};

}  // namespace qsim::cosim
