// Whole attention blocks from the derivations of their parts: ITA's multi-head attention, and
// networks that are lists of steps.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "derivation/exact.h"
#include "derivation/gelu_rows.h"
#include "derivation/layernorm_rows.h"
#include "derivation/requantize_values.h"
#include "derivation/softmax_rows.h"
#include "tests/conform/derived_outputs.h"

namespace qsim::testing {
namespace {

using derivation::Big;
using derivation::Clamp;
using derivation::Power2;
using nlohmann::json;

std::size_t Axis(const Shape& shape, std::size_t from_the_end) {
  return static_cast<std::size_t>(shape[shape.size() - from_the_end]);
}

// Matrices of the two last axes, over equal or absent leading axes.
Integers Product(const Integers& a, const Integers& b) {
  const std::size_t rows = Axis(a.shape, 2), depth = Axis(a.shape, 1), columns = Axis(b.shape, 1);
  const std::size_t left = a.values.size() / (rows * depth),
                    right = b.values.size() / (depth * columns);
  Integers out{a.shape.size() >= b.shape.size() ? a.shape : b.shape, {}};
  out.shape[out.shape.size() - 2] = a.shape[a.shape.size() - 2];
  out.shape.back() = b.shape.back();
  for (std::size_t matrix = 0; matrix < std::max(left, right); ++matrix) {
    const mpz_class* lhs = &a.values[left == 1 ? 0 : matrix * rows * depth];
    const mpz_class* rhs = &b.values[right == 1 ? 0 : matrix * depth * columns];
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        mpz_class sum = 0;
        for (std::size_t k = 0; k < depth; ++k) sum += lhs[i * depth + k] * rhs[k * columns + j];
        out.values.push_back(sum);
      }
    }
  }
  return out;
}

// The axes of `in` in the order of `perm`.
Integers Transposed(const Integers& in, const std::vector<std::size_t>& perm) {
  Integers out{{}, {}};
  for (const std::size_t axis : perm) out.shape.push_back(in.shape[axis]);
  std::vector<std::size_t> index(perm.size());
  for (std::size_t i = 0; i < in.values.size(); ++i) {
    std::size_t rest = i;
    for (std::size_t axis = perm.size(); axis-- > 0;) {
      index[perm[axis]] = rest % static_cast<std::size_t>(out.shape[axis]);
      rest /= static_cast<std::size_t>(out.shape[axis]);
    }
    std::size_t at = 0;
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      at = at * static_cast<std::size_t>(in.shape[axis]) + index[axis];
    }
    out.values.push_back(in.values[at]);
  }
  return out;
}

// b repeats over the leading axes of a.
Integers Sum(Integers a, const Integers& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i % b.values.size()];
  return a;
}

template <typename Derive>
Integers RowByRow(Integers in, Derive derive) {
  const std::size_t width = Axis(in.shape, 1);
  for (std::size_t first = 0; first < in.values.size(); first += width) {
    derivation::Scores row;
    for (std::size_t i = 0; i < width; ++i) {
      row.push_back(static_cast<std::int32_t>(in.values[first + i].get_si()));
    }
    const std::vector<std::int64_t> out = derive(row);
    for (std::size_t i = 0; i < width; ++i) in.values[first + i] = Big(out[i]);
  }
  return in;
}

Integers Softmax(const Integers& scores, const SoftmaxParams& params) {
  return RowByRow(scores, [&](const derivation::Scores& row) {
    return derivation::DeriveSoftmax(row, params).y;
  });
}

// ---- ITA ----

class ItaAttention {
 public:
  explicit ItaAttention(const ConformCase& c) : c_(c) {}

  CaseTensors Run() {
    const Integers q = Rescaled("q", Linear("q_acc", Read("q_in"), "wq", "bq"), 0);
    const Integers k = Rescaled("k", Linear("k_acc", Read("kv_in"), "wk", "bk"), 1);
    const Integers v = Rescaled("v", Linear("v_acc", Read("kv_in"), "wv", "bv"), 2);
    const Integers qk =
        Rescaled("qk", Keep("qk_acc", Limited(Product(q, Transposed(k, {0, 2, 1})))), 3);
    const Integers probs = Keep("probs", Softmax(qk, SoftmaxParamsOf()));
    const Integers av = Rescaled("av", Keep("av_acc", Limited(Product(probs, v))), 4);
    const Integers out = Rescaled("out_heads", Linear("out_acc", av, "wo", "bo"), 5);
    Integers sum{{1, out.shape[1], out.shape[2]}, {}};
    sum.values.resize(out.values.size() / static_cast<std::size_t>(out.shape[0]));
    for (std::size_t i = 0; i < out.values.size(); ++i) {
      sum.values[i % sum.values.size()] += out.values[i];
    }
    Rescaled("out", sum, 6);
    const Integers act =
        Keep("ff1_act",
             Activated(Rescale(Linear("ff1_acc", Read("ff_in"), "wff1", "bff1"), "ffn_rq", 0)));
    Keep("ff2", Rescale(Linear("ff2_acc", act, "wff2", "bff2"), "ffn_rq", 1));
    return std::move(results_);
  }

 private:
  Integers Read(const std::string& name) const { return ReadIntegers(c_, name); }

  Integers Keep(const std::string& name, const Integers& value) {
    results_[name] = ToTensor(value);
    return value;
  }

  // Accumulators are clamped, to 26 bits.
  Integers Limited(Integers acc) const {
    const mpz_class half = Power2(c_.ParamOr("accumulator_bits", 26, 2, 32) - 1);
    for (mpz_class& value : acc.values) value = Clamp(value, -half, half - 1);
    return acc;
  }

  // Weights and biases of every head.
  Integers Linear(const std::string& name, const Integers& x, const std::string& weight,
                  const std::string& bias) {
    Integers acc = Product(x, Read(weight));
    const Integers b = Read(bias);
    const std::size_t columns = Axis(acc.shape, 1), rows = Axis(acc.shape, 2);
    for (std::size_t i = 0; i < acc.values.size(); ++i) {
      acc.values[i] += b.values[i / (rows * columns) * columns + i % columns];
    }
    return Keep(name, Limited(std::move(acc)));
  }

  static mpz_class Requantized(const mpz_class& v, const mpz_class& mult, const mpz_class& shift,
                               const mpz_class& add) {
    const auto bits = static_cast<int>(shift.get_si());
    return Clamp(derivation::DeriveItaRequantize(v, mult, bits) + add, -128, 127);
  }

  // Row `step` of the parameters, a column for each head.
  Integers Rescale(Integers acc, const std::string& prefix, std::size_t step) const {
    const Integers mult = Read(prefix + "_mult"), shift = Read(prefix + "_shift"),
                   add = Read(prefix + "_add");
    const std::size_t matrix = acc.values.size() / static_cast<std::size_t>(acc.shape[0]);
    for (std::size_t i = 0; i < acc.values.size(); ++i) {
      const std::size_t at = step * Axis(mult.shape, 1) + i / matrix;
      acc.values[i] = Requantized(acc.values[i], mult.values[at], shift.values[at], add.values[at]);
    }
    return acc;
  }
  Integers Rescaled(const std::string& name, const Integers& acc, std::size_t step) {
    return Keep(name, Rescale(acc, "rq", step));
  }

  SoftmaxParams SoftmaxParamsOf() const {
    const bool streaming = c_.params().value("softmax", "streaming") == "streaming";
    const auto shift_bits = static_cast<int>(c_.ParamOr("softmax_shift_bits", 0, 0, 31));
    if (!streaming) return ItaSoftmaxParams{.shift_bits = shift_bits};
    return ItaStreamingSoftmaxParams{.shift_bits = shift_bits,
                                     .group = c_.ParamOr("group", 16, 1, 65536)};
  }

  Integers Activated(Integers x) const {
    const std::string activation = c_.params().value("activation", "identity");
    if (activation == "identity") return x;
    const json& gelu = c_.params().at("gelu");
    const auto of = [&](const char* key) { return Big(gelu.at(key).get<std::int64_t>()); };
    for (mpz_class& value : x.values) {
      mpz_class y = value > 0 ? value : mpz_class(0);
      if (activation == "gelu") {
        const GeluItaParams params{
            .q_1 = gelu.at("q_1"), .q_b = gelu.at("q_b"), .q_c = gelu.at("q_c")};
        y = Big(derivation::DeriveGelu({static_cast<std::int32_t>(value.get_si())}, params).y[0]);
      }
      value = Requantized(y, of("eps_mul"), of("eps_shift"), of("eps_add"));
    }
    return x;
  }

  const ConformCase& c_;
  CaseTensors results_;
};

// ---- networks as lists of steps ----

class Steps {
 public:
  explicit Steps(const ConformCase& c) : c_(c) {}

  CaseTensors Run() {
    for (const json& step : c_.params().at("steps")) {
      const std::string out = step.at("out");
      tensors_[out] = Compute(step);
    }
    CaseTensors results;
    for (const auto& [name, value] : tensors_) results[name] = ToTensor(value);
    return results;
  }

 private:
  Integers In(const json& step, std::size_t i) const {
    const std::string name = step.at("in").at(i);
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? ReadIntegers(c_, name) : found->second;
  }

  Integers Compute(const json& step) const {
    const std::string op = step.at("op");
    Integers x = In(step, 0);
    if (op == "matmul") return Product(x, In(step, 1));
    if (op == "add") {
      const Integers b = In(step, 1);
      return x.values.size() < b.values.size() ? Sum(b, x) : Sum(x, b);
    }
    if (op == "requantshift") {
      for (mpz_class& value : x.values) {
        const mpz_class y = derivation::DeriveRequantShift(
            value, Big(step.at("mul")), Big(step.value("add", std::int64_t{0})),
            step.at("log2D").get<int>(), /*rounding=*/true);
        value = Clamp(y, Big(step.at("min")), Big(step.at("max")));
      }
      return x;
    }
    if (op == "layernorm") {
      const std::vector<std::int32_t> weight =
          c_.InputValues32(step.at("in").at(1).get<std::string>());
      const std::vector<std::int64_t> bias = c_.InputValues(step.at("in").at(2).get<std::string>());
      const DeeployLayernormParams params{
          .bias = bias, .weight = weight, .log2d = step.at("log2D"), .wrap = true};
      return RowByRow(x, [&](const derivation::Scores& row) {
        return derivation::DeriveLayernorm(row, params).q;
      });
    }
    if (op == "gelu") {
      const GeluDeeployParams params{.b = step.at("b"), .one = step.at("one")};
      return RowByRow(
          x, [&](const derivation::Scores& row) { return derivation::DeriveGelu(row, params).y; });
    }
    if (op == "isoftmax") {
      return Softmax(x, IsoftmaxParams{.coeff_a = step.at("coeffA"),
                                       .coeff_b = step.at("coeffB"),
                                       .coeff_c = step.at("coeffC"),
                                       .log2 = step.at("log2"),
                                       .levels = step.value("levels", 256)});
    }
    if (op == "itamax") {
      return Softmax(x, ItaSoftmaxParams{.shift_bits = step.value("shift_bits", 5),
                                         .levels = step.value("levels", 256)});
    }
    if (op == "itapartialmax") {
      return Softmax(x, ItaStreamingSoftmaxParams{.shift_bits = step.value("shift_bits", 5),
                                                  .levels = step.value("levels", 256),
                                                  .group = step.value("group", std::int64_t{16})});
    }
    if (op == "split_heads") {
      x.shape.back() /= step.at("heads").get<std::int64_t>();
      x.shape.insert(std::prev(x.shape.end()), step.at("heads").get<std::int64_t>());
      return Transposed(x, step.at("perm"));
    }
    if (op == "merge_heads") {
      x = Transposed(x, {0, 2, 1, 3});
      return {{x.shape[0], x.shape[1], x.shape[2] * x.shape[3]}, x.values};
    }
    if (op == "head") {
      const auto size = static_cast<std::size_t>(x.shape[2] * x.shape[3]);
      Integers head{{x.shape[0], x.shape[2], x.shape[3]}, {}};
      for (std::size_t i = 0; i < x.values.size(); ++i) {
        if (i / size % static_cast<std::size_t>(x.shape[1]) ==
            step.at("index").get<std::size_t>()) {
          head.values.push_back(x.values[i]);
        }
      }
      return head;
    }
    c_.Reject("no derivation of step '" + op + "'");
  }

  const ConformCase& c_;
  std::map<std::string, Integers> tensors_;
};

}  // namespace

CaseTensors DerivedAttention(const ConformCase& c) {
  return c.algorithm() == "ita_mha" ? ItaAttention(c).Run() : Steps(c).Run();
}

}  // namespace qsim::testing
