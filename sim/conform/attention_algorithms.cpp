// Whole attention blocks: networks imported as programs, and ITA's multi-head attention.
#include <algorithm>
#include <array>

#include "golden/ops/gelu/ita.h"
#include "golden/ops/requant/ita.h"
#include "sim/conform/algorithms.h"
#include "sim/conform/step_program.h"

namespace qsim {
namespace {

CaseTensors RunNetwork(const ConformCase& c) {
  GoldenBackend golden;
  return RunSteps(c, ImportSteps(c), golden);
}

std::optional<CaseTensors> RunNetworkOnRtl(const ConformCase& c, Backend& rtl) {
  return RunSteps(c, ImportSteps(c), rtl);
}

// ---- ITA ----

// A stack of matrices [heads, rows, cols] of any integers.
struct Stack {
  std::int64_t heads = 1, rows = 0, cols = 0;
  std::vector<std::int64_t> values;

  std::int64_t size() const { return rows * cols; }
  std::int64_t* Matrix(std::int64_t head) { return values.data() + head * size(); }
  const std::int64_t* Matrix(std::int64_t head) const { return values.data() + head * size(); }
};

class ItaAttention {
 public:
  ItaAttention(const ConformCase& c, Backend& backend) : c_(c), backend_(backend) {
    heads_ = c.Param("H", 1, 1024);
    limit_ = std::int64_t{1} << (c.ParamOr("accumulator_bits", 26, 2, 32) - 1);
  }

  CaseTensors Run() {
    const Stack q_in = Read("q_in"), kv_in = Read("kv_in");
    const Stack q = Rescaled("q", Linear("q_acc", q_in, "wq", "bq", heads_), 0);
    const Stack k = Rescaled("k", Linear("k_acc", kv_in, "wk", "bk", heads_), 1);
    const Stack v = Rescaled("v", Linear("v_acc", kv_in, "wv", "bv", heads_), 2);
    const Stack qk = Rescaled("qk", Product("qk_acc", q, Transposed(k)), 3);
    const Stack probs = Softmax(qk);
    const Stack av = Rescaled("av", Product("av_acc", probs, v), 4);
    const Stack out = Rescaled("out_heads", Linear("out_acc", av, "wo", "bo", heads_), 5);
    SumHeads(out);
    FeedForward();
    return std::move(results_);
  }

 private:
  Stack Read(const char* name) const {
    const Shape& shape = c_.Input(name).shape();
    if (shape.size() < 2 || shape.size() > 3) {
      c_.Reject(std::string("'") + name + "' must be a matrix, or one per head");
    }
    Stack stack;
    stack.heads = shape.size() == 3 ? shape[0] : 1;
    stack.rows = shape[shape.size() - 2];
    stack.cols = shape.back();
    stack.values = c_.InputValues(name, -128, 255);
    return stack;
  }

  void Keep(const std::string& name, const Stack& stack) {
    results_[name] = MakeCaseTensor({stack.heads, stack.rows, stack.cols}, stack.values);
  }

  static Stack Transposed(const Stack& stack) {
    Stack result = stack;
    std::swap(result.rows, result.cols);
    for (std::int64_t h = 0; h < stack.heads; ++h) {
      for (std::int64_t r = 0; r < stack.rows; ++r) {
        for (std::int64_t n = 0; n < stack.cols; ++n) {
          result.Matrix(h)[n * stack.rows + r] = stack.Matrix(h)[r * stack.cols + n];
        }
      }
    }
    return result;
  }

  // One head: exact in 32 bits, then clamped to the accumulator's width.
  void Multiply(const std::string& name, std::int64_t head, const std::int64_t* a,
                const std::int64_t* b, std::span<const std::int32_t> bias, std::int64_t rows,
                std::int64_t depth, std::int64_t cols, std::int64_t* out) {
    const std::vector<std::int8_t> rhs = Narrow<std::int8_t>(b, depth * cols, -128, 127);
    std::vector<std::int32_t> acc(static_cast<std::size_t>(rows * cols));
    GemmParams params;
    params.bias = bias;
    params.acc = {.bits = 32, .policy = AccPolicy::kWrap};
    const MatrixView<std::int32_t> result = {acc.data(), rows, cols, cols, 1};
    const MatrixView<const std::int8_t> right = {rhs.data(), depth, cols, cols, 1};
    const OpId id = {name, 0, head};
    if (std::any_of(a, a + rows * depth, [](std::int64_t v) { return v > 127; })) {
      const std::vector<std::uint8_t> lhs = Narrow<std::uint8_t>(a, rows * depth, 0, 255);
      backend_.Gemm(id, MatrixView<const std::uint8_t>{lhs.data(), rows, depth, depth, 1}, right,
                    params, result, nullptr);
    } else {
      const std::vector<std::int8_t> lhs = Narrow<std::int8_t>(a, rows * depth, -128, 127);
      backend_.Gemm(id, MatrixView<const std::int8_t>{lhs.data(), rows, depth, depth, 1}, right,
                    params, result, nullptr);
    }
    std::transform(acc.begin(), acc.end(), out, [this](std::int32_t v) {
      return std::clamp<std::int64_t>(v, -limit_, limit_ - 1);
    });
  }

  template <typename T>
  std::vector<T> Narrow(const std::int64_t* values, std::int64_t count, std::int64_t lo,
                        std::int64_t hi) const {
    std::vector<T> narrow;
    for (std::int64_t i = 0; i < count; ++i) {
      if (values[i] < lo || values[i] > hi) c_.Reject("an operand of a product has no 8 bits");
      narrow.push_back(static_cast<T>(values[i]));
    }
    return narrow;
  }

  // x [S, E] or one per head, weights [H, E, P], biases [H, P].
  Stack Linear(const std::string& name, const Stack& x, const char* weight, const char* bias,
               std::int64_t heads) {
    const Stack w = Read(weight);
    const std::vector<std::int32_t> b = c_.InputValues32(bias);
    if (w.heads != heads || w.rows != x.cols ||
        static_cast<std::int64_t>(b.size()) != heads * w.cols) {
      c_.Reject(std::string("'") + weight + "' or '" + bias + "' has the wrong shape");
    }
    Stack acc{heads, x.rows, w.cols, {}};
    acc.values.resize(static_cast<std::size_t>(heads * acc.size()));
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto first = static_cast<std::size_t>(h * w.cols);
      Multiply(name, h, x.Matrix(x.heads == 1 ? 0 : h), w.Matrix(h),
               std::span(b).subspan(first, static_cast<std::size_t>(w.cols)), x.rows, x.cols,
               w.cols, acc.Matrix(h));
    }
    Keep(name, acc);
    return acc;
  }

  Stack Product(const std::string& name, const Stack& a, const Stack& b) {
    if (a.heads != b.heads || a.cols != b.rows) c_.Reject("heads of different shapes");
    Stack acc{a.heads, a.rows, b.cols, {}};
    acc.values.resize(static_cast<std::size_t>(acc.heads * acc.size()));
    for (std::int64_t h = 0; h < a.heads; ++h) {
      Multiply(name, h, a.Matrix(h), b.Matrix(h), {}, a.rows, a.cols, b.cols, acc.Matrix(h));
    }
    Keep(name, acc);
    return acc;
  }

  static std::int64_t Requantized(std::int64_t v, std::int64_t mult, std::int64_t shift,
                                  std::int64_t add) {
    const Int128 y =
        ItaRequantize(v, static_cast<std::int32_t>(mult), static_cast<int>(shift)) + add;
    return static_cast<std::int64_t>(std::min(std::max(y, Int128{-128}), Int128{127}));
  }

  // Row `row` of rq_mult, rq_shift and rq_add; a column per head.
  Stack Rescale(const Stack& acc, const std::string& prefix, std::int64_t row) const {
    const std::vector<std::int64_t> mult = c_.InputValues(prefix + "_mult", INT32_MIN, INT32_MAX);
    const std::vector<std::int64_t> shift = c_.InputValues(prefix + "_shift", 0, 255);
    const std::vector<std::int64_t> add = c_.InputValues(prefix + "_add", -65536, 65536);
    const std::int64_t columns = c_.Input(prefix + "_mult").shape().back();
    if ((row + 1) * columns > static_cast<std::int64_t>(mult.size()) ||
        shift.size() != mult.size() || add.size() != mult.size() || acc.heads > columns) {
      c_.Reject("'" + prefix + "_*' need a row for each step and a column for each head");
    }
    Stack out = acc;
    for (std::int64_t h = 0; h < acc.heads; ++h) {
      const auto at = static_cast<std::size_t>(row * columns + h);
      std::transform(acc.Matrix(h), acc.Matrix(h) + acc.size(), out.Matrix(h),
                     [&](std::int64_t v) { return Requantized(v, mult[at], shift[at], add[at]); });
    }
    return out;
  }

  Stack Rescaled(const std::string& name, const Stack& acc, std::int64_t row) {
    Stack out = Rescale(acc, "rq", row);
    Keep(name, out);
    return out;
  }

  Stack Softmax(const Stack& scores) {
    SoftmaxParams params;
    const bool streaming = c_.params().value("softmax", std::string("streaming")) == "streaming";
    const auto shift_bits = static_cast<int>(c_.ParamOr("softmax_shift_bits", 0, 0, 31));
    const std::int64_t group = c_.ParamOr("group", 16, 1, 65536);
    if (streaming) {
      params = ItaStreamingSoftmaxParams{.shift_bits = shift_bits, .group = group};
    } else {
      params = ItaSoftmaxParams{.shift_bits = shift_bits};
    }
    Stack probs = scores;
    const auto width = static_cast<std::size_t>(scores.cols);
    std::vector<std::int32_t> row(width);
    std::vector<std::int32_t> out(width);
    for (std::size_t first = 0; first < scores.values.size(); first += width) {
      for (std::size_t i = 0; i < width; ++i) {
        row[i] = static_cast<std::int32_t>(scores.values[first + i]);
      }
      qsim::Softmax(row, params, out);
      std::copy(out.begin(), out.end(), probs.values.begin() + static_cast<std::ptrdiff_t>(first));
    }
    Keep("probs", probs);
    return probs;
  }

  void SumHeads(const Stack& out_heads) {
    Stack sum{1, out_heads.rows, out_heads.cols, {}};
    sum.values.resize(static_cast<std::size_t>(sum.size()));
    for (std::int64_t h = 0; h < out_heads.heads; ++h) {
      for (std::int64_t i = 0; i < sum.size(); ++i) {
        sum.values[static_cast<std::size_t>(i)] += out_heads.Matrix(h)[i];
      }
    }
    Rescaled("out", sum, 6);
  }

  std::int64_t Activated(std::int64_t x, const std::string& activation) const {
    if (activation == "identity") return x;
    const nlohmann::json& p = c_.params().at("gelu");
    const auto value = [&](const char* key) {
      if (!p.contains(key) || !p.at(key).is_number_integer()) {
        c_.Reject(std::string("params.gelu.") + key + " must be an integer");
      }
      return p.at(key).get<std::int64_t>();
    };
    std::int64_t y = std::max<std::int64_t>(x, 0);
    if (activation == "gelu") {
      const GeluItaParams params{.q_1 = value("q_1"), .q_b = value("q_b"), .q_c = value("q_c")};
      CheckGeluIta(params);
      y = static_cast<std::int64_t>(GeluIta(x, params));
    }
    return Requantized(y, value("eps_mul"), value("eps_shift"), value("eps_add"));
  }

  void FeedForward() {
    const std::string activation = c_.params().value("activation", std::string("identity"));
    if (activation != "identity" && activation != "gelu" && activation != "relu") {
      c_.Reject("params.activation must be identity, gelu or relu");
    }
    if (activation != "identity" && !c_.HasParam("gelu")) c_.Reject("params.gelu is missing");
    Stack act = Rescale(Linear("ff1_acc", Read("ff_in"), "wff1", "bff1", 1), "ffn_rq", 0);
    for (std::int64_t& v : act.values) v = Activated(v, activation);
    Keep("ff1_act", act);
    Keep("ff2", Rescale(Linear("ff2_acc", act, "wff2", "bff2", 1), "ffn_rq", 1));
  }

  const ConformCase& c_;
  Backend& backend_;
  std::int64_t heads_ = 1;
  std::int64_t limit_ = 0;
  CaseTensors results_;
};

CaseTensors RunItaMha(const ConformCase& c) {
  GoldenBackend golden;
  return ItaAttention(c, golden).Run();
}

// The products only: the array's; the rest is golden.
std::optional<CaseTensors> RunItaMhaOnRtl(const ConformCase& c, Backend& rtl) {
  return ItaAttention(c, rtl).Run();
}

}  // namespace

std::span<const ConformAlgorithm> AttentionAlgorithms() {
  static constexpr std::array<ConformAlgorithm, 3> kAlgorithms = {{
      {"attention", "ita_mha", RunItaMha, RunItaMhaOnRtl},
      {"attention", "icct_block", RunNetwork, RunNetworkOnRtl},
      {"attention", "deeploy_attention", RunNetwork, RunNetworkOnRtl},
  }};
  return kAlgorithms;
}

}  // namespace qsim
