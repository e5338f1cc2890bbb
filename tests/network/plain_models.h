// Small random language models of both families, in files as their libraries write them, and what
// they compute: plainly, in double, each head with a state of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/io/tensors/safetensors.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

using PlainRows = std::vector<std::vector<double>>;

// Tensors by their stored names, and functions that read them.
class PlainModel {
 public:
  explicit PlainModel(std::uint64_t seed) : random_(seed) {}

  std::map<std::string, FloatTensor> tensors;

 protected:
  // Uniform in middle +- spread.
  void Draw(const std::string& name, const Shape& shape, double spread, double middle = 0);
  void DrawLayer(const std::string& name, std::int64_t out, std::int64_t in, bool bias);

  double At(const std::string& name, std::size_t i) const {
    return static_cast<double>(tensors.at(name).data.at(i));
  }
  PlainRows Table(const std::string& name, const std::vector<std::int32_t>& ids) const;
  PlainRows Linear(const std::string& name, const PlainRows& x) const;
  // "lm_head", or the table where there is none.
  PlainRows Head(const std::string& table, const PlainRows& x) const;
  // Groups of so many columns; a weight that is not there is 1.
  PlainRows Rms(const std::string& name, const PlainRows& x, std::size_t group, double eps) const;
  PlainRows LayerNorm(const std::string& name, const PlainRows& x, double eps) const;
  PlainRows ConvolvedSilu(const std::string& name, const PlainRows& x) const;

 private:
  PlainRows Linear(const std::string& weight, const std::string& bias, const PlainRows& x) const;

  SeededRandom random_;
};

struct GlaSettings {
  std::int64_t vocabulary = 13, width = 12, blocks = 2, heads = 2, shared = 2;
  double expand_k = 0.5, expand_v = 1;
  std::int64_t hidden = 10, rank = 3, taps = 4;
  bool convolved = false, conv_bias = false, gated = true, fused = true, affine = true;
  bool tied = false, biased = false;
  double normalizer = 16, clamp = -1e9, eps = 1e-6;
};

struct PlainGla : PlainModel {
  PlainGla(const GlaSettings& settings, std::uint64_t seed);
  PlainRows Logits(const std::vector<std::int32_t>& ids) const;
  std::string Config() const;
  GlaSettings s;
};

struct Mamba2Settings {
  std::int64_t vocabulary = 13, rows = 13, width = 8, blocks = 2, head = 4, groups = 1;
  std::int64_t expand = 2, state = 5, taps = 4;
  bool conv_bias = true, bias = false, of_channel = false, normed = true, before_gate = false;
  bool tied = true, rms = true;
  double low = 0, high = 1e9, eps = 1e-5;
};

// Under the names of transformers.
struct PlainMamba2 : PlainModel {
  PlainMamba2(const Mamba2Settings& settings, std::uint64_t seed);
  PlainRows Logits(const std::vector<std::int32_t>& ids) const;
  std::string Config() const;       // as transformers writes it
  std::string StateSpaces() const;  // as mamba_ssm does
  Mamba2Settings s;
};

}  // namespace qsim::testing
