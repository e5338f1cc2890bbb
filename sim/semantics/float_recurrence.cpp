#include "sim/semantics/float_recurrence.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qsim::semantics {
namespace {

const float* RowOf(const FloatTensor& x, std::int64_t row) {
  return x.data.data() + row * x.shape.back();
}

// The states of all heads, row by row; within, always [heads, key_width, value_width].
class States {
 public:
  // `gates`: key, value, decay, past.
  States(const network::FinalState& what, std::int64_t query_columns,
         std::span<const FloatTensor* const> gates)
      : what_(what),
        key_(*gates[0]),
        value_(*gates[1]),
        decay_(*gates[2]),
        heads_(network::HeadsOf(what.key_width, what.value_width, query_columns, key_.shape.back(),
                                value_.shape.back(), decay_.shape.back())),
        data_(Swapped(gates[3]->data, what.value_first)) {}

  const network::RecurrenceHeads& heads() const { return heads_; }
  std::int64_t rows() const { return key_.shape[0]; }
  const float* Of(std::int64_t head) const {
    return data_.data() + head * what_.key_width * what_.value_width;
  }

  // S = diag(a) S + k^T v.
  void Step(std::int64_t row) {
    float* to = data_.data();
    for (std::int64_t h = 0; h < heads_.state; ++h) {
      const float* key = RowOf(key_, row) + ShareOf(h, heads_.state, heads_.key) * what_.key_width;
      const float* value =
          RowOf(value_, row) + ShareOf(h, heads_.state, heads_.value) * what_.value_width;
      const std::int64_t decays = ShareOf(h, heads_.state, heads_.decay);
      const float* decay =
          RowOf(decay_, row) + decays * (heads_.decay_of_key ? what_.key_width : 1);
      for (std::int64_t i = 0; i < what_.key_width; ++i, to += what_.value_width) {
        const float kept = decay[heads_.decay_of_key ? i : 0];
        for (std::int64_t j = 0; j < what_.value_width; ++j)
          to[j] = kept * to[j] + key[i] * value[j];
      }
    }
  }

  const std::vector<float>& data() const { return data_; }
  FloatTensor Take() const { return Stored(data_); }
  FloatTensor Stored(const std::vector<float>& states) const {
    if (!what_.value_first) return {{heads_.state, what_.key_width, what_.value_width}, states};
    std::vector<float> out(states.size());
    Transpose(states, what_.key_width, what_.value_width, out);
    return {{heads_.state, what_.value_width, what_.key_width}, std::move(out)};
  }

 private:
  // Of each matrix of so many rows and columns.
  static void Transpose(const std::vector<float>& x, std::int64_t rows, std::int64_t columns,
                        std::vector<float>& out) {
    const auto size = static_cast<std::size_t>(rows * columns);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t row = i % size / static_cast<std::size_t>(columns);
      const std::size_t column = i % static_cast<std::size_t>(columns);
      out[i - i % size + column * static_cast<std::size_t>(rows) + row] = x[i];
    }
  }
  std::vector<float> Swapped(const std::vector<float>& past, bool value_first) const {
    if (!value_first) return past;
    std::vector<float> out(past.size());
    Transpose(past, what_.value_width, what_.key_width, out);
    return out;
  }

  network::FinalState what_;
  const FloatTensor& key_;
  const FloatTensor& value_;
  const FloatTensor& decay_;
  network::RecurrenceHeads heads_;
  std::vector<float> data_;
};

}  // namespace

FloatTensor FloatCausalConvolution(const network::CausalConvolution& convolution,
                                   const FloatTensor& x, const FloatTensor& past) {
  FloatTensor out{x.shape, std::vector<float>(x.data.size(), 0.0F)};
  const std::int64_t channels = x.shape[1], taps = convolution.taps(), before = past.shape[0];
  std::vector<float> weight(convolution.weight.data.size());  // [taps, C]
  for (std::int64_t i = 0; i < channels * taps; ++i)
    weight[static_cast<std::size_t>(i % taps * channels + i / taps)] =
        convolution.weight.data[static_cast<std::size_t>(i)];
  for (std::int64_t t = 0; t < x.shape[0]; ++t) {
    float* const to = out.data.data() + t * channels;
    for (std::int64_t j = 0; j < taps; ++j) {
      const std::int64_t row = t - taps + 1 + j;
      const float* const from = row < 0 ? RowOf(past, before + row) : RowOf(x, row);
      const float* const w = weight.data() + j * channels;
      for (std::int64_t c = 0; c < channels; ++c) to[c] += w[c] * from[c];
    }
    for (std::size_t c = 0; c < convolution.bias.size(); ++c) to[c] += convolution.bias[c];
  }
  return out;
}

FloatTensor FloatRecurrence(const network::Recurrence& recurrence,
                            std::span<const FloatTensor* const> inputs) {
  const std::int64_t keys = recurrence.key_width, values = recurrence.value_width;
  const FloatTensor& query = *inputs[0];
  States states({keys, values, recurrence.value_first}, query.shape.back(), inputs.subspan(1));
  const network::RecurrenceHeads& heads = states.heads();
  FloatTensor out{{states.rows(), heads.output * values}, {}};
  out.data.resize(static_cast<std::size_t>(ElementCount(out.shape)), 0.0F);
  const auto factor = static_cast<float>(1 / recurrence.divisor);
  float* to = out.data.data();
  for (std::int64_t t = 0; t < states.rows(); ++t) {
    states.Step(t);
    for (std::int64_t h = 0; h < heads.output; ++h, to += values) {
      const float* q = RowOf(query, t) + ShareOf(h, heads.output, heads.query) * keys;
      const float* state = states.Of(ShareOf(h, heads.output, heads.state));
      for (std::int64_t i = 0; i < keys; ++i, state += values) {
        for (std::int64_t j = 0; j < values; ++j) to[j] += q[i] * state[j];
      }
      for (std::int64_t j = 0; j < values; ++j) to[j] *= factor;
    }
  }
  return out;
}

FloatTensor FloatFinalState(const network::FinalState& state,
                            std::span<const FloatTensor* const> inputs) {
  States states(state, state.key_width, inputs);
  for (std::int64_t t = 0; t < states.rows(); ++t) states.Step(t);
  return states.Take();
}

FloatTensor FloatStatePeak(const network::FinalState& state,
                           std::span<const FloatTensor* const> inputs) {
  States states(state, state.key_width, inputs);
  std::vector<float> peak = states.data();
  for (std::int64_t t = 0; t < states.rows(); ++t) {
    states.Step(t);
    for (std::size_t i = 0; i < peak.size(); ++i) {
      const float now = states.data()[i];
      if (std::fabs(now) > std::fabs(peak[i])) peak[i] = now;
    }
  }
  return states.Stored(peak);
}

}  // namespace qsim::semantics
