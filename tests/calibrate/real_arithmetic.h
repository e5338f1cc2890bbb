// A second derivation of the lowering: every operation once more in real arithmetic, from the float
// weights and the dequantized inputs of the operation, against the integers that it gave.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/network/network.h"
#include "sim/statistics/metrics.h"
#include "tests/namespaces.h"

namespace qsim::testing {

class RealArithmetic {
 public:
  // `golden` holds a run's tensors, image axis in front; image 0 is checked.
  RealArithmetic(const network::Network& model, const Bundle& bundle,
                 const std::map<std::string, IntTensor>& golden, std::int64_t block)
      : model_(model),
        dim_(model.At("embed").shape[1]),
        tokens_(model.At("embed").shape[0]),
        heads_(model.FunctionOf<network::Product>("blocks.0.attn_kv_out")->heads),
        bundle_(bundle),
        golden_(golden),
        prefix_("blocks." + std::to_string(block) + ".") {}

  void CheckAll() {
    CheckNorm();
    CheckLinear("attn_qkv", "norm1");
    CheckSlices();
    CheckScores();
    CheckAttention();
    CheckLinear("attn_proj", "attn_v_out");
    CheckResidual();
  }

 private:
  const TensorScale& ScaleOf(const std::string& tap) const {
    return bundle_.scales.at(prefix_ + tap);
  }
  const TensorInfo& Info(const std::string& tap) const {
    return bundle_.program.Tensor(prefix_ + tap);
  }
  bool Has(const std::string& tap) const {
    return bundle_.program.FindTensor(prefix_ + tap) != nullptr;
  }
  template <typename T>
  const T& OpOf(const std::string& tap) const {
    for (const Op& op : bundle_.program.ops) {
      if (OutputOf(op) == prefix_ + tap) return std::get<T>(op);
    }
    throw std::logic_error("no operation computes " + tap);
  }

  // Image 0, as integers and as real numbers.
  std::vector<std::int64_t> Integers(const std::string& tap) const {
    const IntTensor& all = golden_.at(prefix_ + tap);
    std::vector<std::int64_t> values;
    for (std::int64_t i = 0; i < ElementCount(Info(tap).shape); ++i) values.push_back(all.At(i));
    return values;
  }
  // The scale or zero point of each element.
  template <typename T>
  std::vector<T> PerElement(const std::string& tap, const std::vector<T>& values) const {
    const Shape& shape = Info(tap).shape;
    const auto size = static_cast<std::size_t>(ElementCount(shape));
    const auto last = static_cast<std::size_t>(shape.back());
    const std::size_t slice = size / static_cast<std::size_t>(shape.front());
    const ChannelAxis axis = ScaleOf(tap).axis;
    std::vector<T> expanded;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t c = axis == ChannelAxis::kFirst ? i / slice : i % last;
      expanded.push_back(values[values.size() == 1 ? 0 : c]);
    }
    return expanded;
  }
  std::vector<double> Real(const std::string& tap) const {
    const std::vector<std::int64_t> q = Integers(tap);
    if (ScaleOf(tap).kind == TensorScale::Kind::kLog2) {
      std::vector<double> values;
      for (const std::int64_t code : q)
        values.push_back(code == 16 ? 0.0 : std::ldexp(1.0, -static_cast<int>(code)));
      return values;
    }
    const auto scale = PerElement(tap, ScaleOf(tap).scale);
    const auto zero = PerElement(tap, ScaleOf(tap).zero);
    std::vector<double> values;
    for (std::size_t i = 0; i < q.size(); ++i)
      values.push_back(scale[i] * static_cast<double>(q[i] - zero[i]));
    return values;
  }

  static double HalfStep(Rounding rounding) {
    return rounding == Rounding::kFloor || rounding == Rounding::kTowardZero ? 1.0 : 0.5;
  }

  // |integer - (real / scale + zero)| in steps, after the clamp to the tap's range.
  void ExpectNear(const std::string& tap, const std::vector<double>& real,
                  const std::function<double(std::size_t)>& allowed) {
    const std::vector<std::int64_t> q = Integers(tap);
    const auto scale = PerElement(tap, ScaleOf(tap).scale);
    const auto zero = PerElement(tap, ScaleOf(tap).zero);
    const QuantRange range = Info(tap).range;
    ASSERT_EQ(q.size(), real.size());
    double worst = -1e9;
    std::size_t at = 0;
    for (std::size_t i = 0; i < q.size(); ++i) {
      const double ideal =
          std::clamp(real[i] / scale[i] + static_cast<double>(zero[i]),
                     static_cast<double>(range.qmin), static_cast<double>(range.qmax));
      const double excess = std::fabs(static_cast<double>(q[i]) - ideal) - allowed(i);
      if (excess > worst) {
        worst = excess;
        at = i;
      }
    }
    EXPECT_LE(worst, 1e-6) << prefix_ << tap << " element " << at << ": integer " << q[at]
                           << ", real " << real[at] / scale[at] + static_cast<double>(zero[at])
                           << ", allowed " << allowed(at);
  }

  // One rounding, and a multiplier that is off by at most one part in 2^multiplier_bits.
  void ExpectRequantized(const std::string& tap, const std::vector<double>& real) {
    const auto scale = PerElement(tap, ScaleOf(tap).scale);
    const double half = HalfStep(OpOf<RequantizeOp>(tap).rounding);
    const double relative = std::ldexp(1.0, -(bundle_.hardware.multiplier_bits - 1));
    ExpectNear(tap, real,
               [&](std::size_t i) { return half + std::fabs(real[i] / scale[i]) * relative; });
  }

  void CheckNorm() {
    const network::Norm& norm = model_.FunctionOf<network::LayerNorm>(prefix_ + "norm1")->norm;
    const std::vector<double> x = Real("input");
    const auto dim = static_cast<std::size_t>(dim_);
    const bool adds = bundle_.contracts.model.numerics.layernorm_eps == LayernormEps::kAdd;
    const double eps = adds ? norm.eps : 0;
    std::vector<double> y;
    for (std::size_t row = 0; row < x.size(); row += dim) {
      double mean = 0;
      for (std::size_t c = 0; c < dim; ++c) mean += x[row + c] / static_cast<double>(dim);
      double variance = 0;
      for (std::size_t c = 0; c < dim; ++c)
        variance += (x[row + c] - mean) * (x[row + c] - mean) / static_cast<double>(dim);
      for (std::size_t c = 0; c < dim; ++c) {
        y.push_back((x[row + c] - mean) / std::sqrt(variance + eps) *
                        static_cast<double>(norm.gamma[c]) +
                    static_cast<double>(norm.beta[c]));
      }
    }
    const double half =
        HalfStep(std::get<IbertLayernormParams>(OpOf<LayernormOp>("norm1").params).rounding);
    // The integer root is floored, once per row, and a dead gamma is replaced by a tiny one.
    const double relative = std::ldexp(1.0, -(bundle_.hardware.multiplier_bits - 1)) + 1e-3;
    const auto scale = PerElement("norm1", ScaleOf("norm1").scale);
    ExpectNear("norm1", y,
               [&](std::size_t i) { return half + 0.02 + std::fabs(y[i] / scale[i]) * relative; });
  }

  // The accumulator's own unit: every weight is at most half a step off, and so is the bias.
  void CheckLinear(const std::string& tap, const std::string& input) {
    const network::Linear& layer = model_.FunctionOf<network::Projection>(prefix_ + tap)->layer;
    const std::vector<double> x = Real(input);
    const std::vector<std::int64_t> q = Integers(input);
    const auto zero = PerElement(input, ScaleOf(input).zero);
    const auto in = static_cast<std::size_t>(layer.in_features());
    const auto out = static_cast<std::size_t>(layer.out_features());
    std::vector<double> y;
    std::vector<double> sums;
    for (std::size_t row = 0; row < x.size() / in; ++row) {
      double magnitude = 0;
      for (std::size_t k = row * in; k < (row + 1) * in; ++k)
        magnitude += std::fabs(static_cast<double>(q[k] - zero[k]));
      for (std::size_t n = 0; n < out; ++n) {
        double sum = static_cast<double>(layer.bias[n]);
        for (std::size_t k = 0; k < in; ++k)
          sum += x[row * in + k] * static_cast<double>(layer.weight.data[n * in + k]);
        y.push_back(sum);
        sums.push_back(magnitude);
      }
    }
    // A little more than half: weights pass through float32 when scales are absorbed.
    ExpectNear(tap, y, [&](std::size_t i) { return 0.5001 * sums[i] + 0.51; });
  }

  void CheckSlices() {
    const std::string source = Has("attn_qkv.quant") ? "attn_qkv.quant" : "attn_qkv";
    const std::vector<double> all = Real(source);
    const auto dim = static_cast<std::size_t>(dim_);
    std::size_t part = 0;
    for (const char* tap : {"attn_q_out", "attn_k_out", "attn_v_input"}) {
      std::vector<double> slice;
      for (std::size_t row = 0; row < all.size(); row += 3 * dim) {
        for (std::size_t c = 0; c < dim; ++c) slice.push_back(all[row + part * dim + c]);
      }
      ExpectRequantized(tap, slice);
      ++part;
    }
  }

  void CheckScores() {
    const std::vector<double> q = Real("attn_q_out");
    const std::vector<double> k = Real("attn_k_out");
    const std::int64_t head_dim = (dim_ / heads_);
    std::vector<double> scores;
    for (std::int64_t h = 0; h < heads_; ++h) {
      for (std::int64_t i = 0; i < tokens_; ++i) {
        for (std::int64_t j = 0; j < tokens_; ++j) {
          double sum = 0;
          for (std::int64_t c = h * head_dim; c < (h + 1) * head_dim; ++c) {
            sum += q[static_cast<std::size_t>(i * dim_ + c)] *
                   k[static_cast<std::size_t>(j * dim_ + c)];
          }
          scores.push_back(sum / std::sqrt(static_cast<double>(head_dim)));
        }
      }
    }
    ExpectRequantized("attn_kv_out", scores);
  }

  void CheckAttention() {
    const std::vector<double> p = Real("intSoft");
    const std::vector<double> v = Real("attn_v_input");
    const bool after = Has("intSoft.sum");
    const std::vector<double> sums = after ? Real("intSoft.sum") : std::vector<double>();
    std::vector<double> out;
    for (std::int64_t i = 0; i < tokens_; ++i) {
      for (std::int64_t c = 0; c < dim_; ++c) {
        const std::int64_t h = c / (dim_ / heads_);
        double sum = 0;
        for (std::int64_t j = 0; j < tokens_; ++j) {
          sum += p[static_cast<std::size_t>((h * tokens_ + i) * tokens_ + j)] *
                 v[static_cast<std::size_t>(j * dim_ + c)];
        }
        if (after) sum /= sums[static_cast<std::size_t>(h * tokens_ + i)];
        out.push_back(sum);
      }
    }
    if (after) {
      // The reciprocal's error, and a rounding.
      const auto scale = PerElement("attn_v_out.divided", ScaleOf("attn_v_out.divided").scale);
      ExpectNear("attn_v_out.divided", out, [&](std::size_t i) {
        return 0.5 + std::ldexp(std::fabs(out[i] / scale[i]), -16);
      });
      out = Real("attn_v_out.divided");
    }
    ExpectRequantized("attn_v_out", out);
  }

  void CheckResidual() {
    const std::string addend = Has("attn_proj.quant") ? "attn_proj.quant" : "attn_proj";
    const std::vector<double> a = Real(addend);
    const std::vector<double> b = Real("input");
    std::vector<double> sum;
    for (std::size_t i = 0; i < a.size(); ++i) sum.push_back(a[i] + b[i]);
    // Both multipliers are half a unit off at most.
    const auto& op = OpOf<ResidualAddOp>("residual1");
    const std::vector<std::int64_t> qa = Integers(addend);
    const std::vector<std::int64_t> qb = Integers("input");
    ExpectNear("residual1", sum, [&](std::size_t i) {
      const double operands = std::fabs(static_cast<double>(qa[i] - op.a_zero)) +
                              std::fabs(static_cast<double>(qb[i] - op.b_zero));
      return HalfStep(op.rounding) + std::ldexp(0.5 * operands, -op.shift);
    });
  }

  const network::Network& model_;
  std::int64_t dim_, tokens_, heads_;
  const Bundle& bundle_;
  const std::map<std::string, IntTensor>& golden_;
  std::string prefix_;
};

}  // namespace qsim::testing
