// From pixels to logits with every operation that the attention datapath does not have, written by
// hand, and pixels for it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/program/small_program.h"

namespace qsim::testing {

inline constexpr std::int64_t kColors = 2;
inline constexpr std::int64_t kHeight = 4;
inline constexpr std::int64_t kWidth = 6;
inline constexpr std::int64_t kPatch = 2;
inline constexpr std::int64_t kPatches = (kHeight / kPatch) * (kWidth / kPatch);
inline constexpr std::int64_t kDepth = kColors * kPatch * kPatch;
inline constexpr std::int64_t kClasses = 5;

struct NetworkProgramOptions {
  GeluKind gelu = GeluKind::kTable;
  bool per_channel = true;  // the patches' multipliers in `embed`
  QuantRange stream = kInt16Range;
  QuantRange gelu_input = kInt8Range;
};

// image -> patches -> patch_embed -> embed -> fc1 -> gelu -> logits, the last of the first row
// only.
class NetworkProgramBuilder {
 public:
  NetworkProgramBuilder(SeededRandom& random, NetworkProgramOptions options)
      : random_(random), options_(options) {}

  Program Build() {
    program_.inputs = {"image"};
    Define("image", {kColors, kHeight, kWidth}, kUint8Range);
    Define("patches", {kPatches, kDepth}, kUint8Range);
    program_.ops.emplace_back(PatchifyOp{"patches", "image", kPatch});
    Linear("patch_embed", "patches", kPatches, kDepth, kDim, 0);
    Embed();
    Define("norm", {kPatches + 1, kDim}, kInt8Range);
    program_.ops.emplace_back(
        RequantizeOp{"norm", "embed", 0, ChannelAxis::kNone, {{4, 8}}, {1}, -3, RandomRounding()});
    Linear("fc1.acc", "norm", kPatches + 1, kDim, kDim, 0);
    Define("fc1", {kPatches + 1, kDim}, options_.gelu_input);
    program_.ops.emplace_back(RequantizeOp{
        "fc1", "fc1.acc", 0, ChannelAxis::kNone, {{300, 15}}, {40}, 0, RandomRounding()});
    Gelu();
    Linear("logits", "gelu", 1, kDim, kClasses, 1);
    return std::move(program_);
  }

 private:
  void Define(const std::string& name, const Shape& shape, QuantRange range) {
    program_.tensors.push_back(Tensor(name, shape, range));
  }
  std::int32_t Between(std::int64_t lo, std::int64_t hi) {
    return static_cast<std::int32_t>(random_.Between(lo, hi));
  }
  std::vector<std::int32_t> Integers(std::int64_t count, std::int64_t lo, std::int64_t hi) {
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < count; ++i) values.push_back(Between(lo, hi));
    return values;
  }
  Rounding RandomRounding() { return static_cast<Rounding>(random_.Between(0, 4)); }

  void Linear(const std::string& name, const std::string& input, std::int64_t tokens,
              std::int64_t depth, std::int64_t channels, std::int64_t rows) {
    IntTensor weight(DType::kInt8, {channels, depth});
    for (std::int8_t& w : weight.As<std::int8_t>())
      w = static_cast<std::int8_t>(random_.Between(-128, 127));
    program_.constants[name + ".weight"] = std::move(weight);
    program_.constants[name + ".bias"] = IntTensor({channels}, Integers(channels, -9000, 9000));
    program_.tensors.push_back({name, {tokens, channels}, DType::kInt32, AccumulatorRange(32)});
    program_.ops.emplace_back(GemmOp{name, input, name + ".weight", name + ".bias", {}, {}, rows});
  }

  void Embed() {
    Define("embed", {kPatches + 1, kDim}, options_.stream);
    std::vector<std::int32_t> position = Integers(kDim, options_.stream.qmin, options_.stream.qmax);
    for (const std::int32_t p : Integers(kPatches * kDim, -65535, 65535)) position.push_back(p);
    program_.constants["embed.position"] = IntTensor({kPatches + 1, kDim}, std::move(position));
    EmbedOp op;
    op.output = "embed";
    op.a = "patch_embed";
    op.position = "embed.position";
    op.a_multiplier = Integers(options_.per_channel ? kDim : 1, -3000, 3000);
    op.b_multiplier = Between(1, 300);
    op.shift = options_.stream == kInt8Range ? 18 : 11;
    op.out_zero = Between(-9, 9);
    op.rounding = RandomRounding();
    program_.ops.emplace_back(std::move(op));
  }

  void Gelu() {
    Define("gelu", {kPatches + 1, kDim}, kInt8Range);
    GeluOp op;
    op.output = "gelu";
    op.input = "fc1";
    if (options_.gelu == GeluKind::kTable) {
      const QuantRange range = options_.gelu_input;
      op.params = GeluTableParams{Integers(std::int64_t{range.qmax} - range.qmin + 1, -128, 127)};
    } else {
      GeluIbertParams ibert{-80, -7069, -884, 3, 40};  // of an input scale of 0.0313
      ibert.scale = {-Between(20000, 30000), 25};
      ibert.zero = Between(-60, 60);
      ibert.rounding = RandomRounding();
      op.params = ibert;
    }
    program_.ops.emplace_back(std::move(op));
  }

  SeededRandom& random_;
  NetworkProgramOptions options_;
  Program program_;
};

inline Program NetworkProgram(SeededRandom& random, NetworkProgramOptions options = {}) {
  return NetworkProgramBuilder(random, options).Build();
}

inline TensorMap NetworkInputs(SeededRandom& random) {
  IntTensor image(DType::kUint8, {kColors, kHeight, kWidth});
  for (std::uint8_t& x : image.As<std::uint8_t>())
    x = static_cast<std::uint8_t>(random.Between(0, 255));
  return {{"image", std::move(image)}};
}

// Every combination of the options.
inline std::vector<NetworkProgramOptions> AllNetworkOptions() {
  std::vector<NetworkProgramOptions> all;
  for (const GeluKind gelu : {GeluKind::kTable, GeluKind::kIbert}) {
    for (const bool per_channel : {false, true}) {
      for (const QuantRange stream : {kInt8Range, kInt16Range}) {
        for (const QuantRange input :
             {kInt8Range, kUint8Range, QuantRange{-8, 7}, QuantRange{-900, 1100}}) {
          all.push_back({gelu, per_channel, stream, input});
        }
      }
    }
  }
  return all;
}

}  // namespace qsim::testing
