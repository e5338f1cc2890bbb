#include "tests/diagnose/plants.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/bundle_faults.h"
#include "sim/diagnose/causes/constant_causes.h"
#include "sim/diagnose/causes/weight_fit.h"
#include "sim/diagnose/structure.h"
#include "sim/semantics/activation.h"

namespace qsim::testing {
namespace {

using Codes = std::vector<std::int8_t>;

template <typename Wanted>
Op* AnyOp(Planting& p, Wanted wanted) {
  std::vector<Op*> ops;
  for (Op& op : p.bundle.program.ops) {
    if (wanted(op)) ops.push_back(&op);
  }
  if (ops.empty()) return nullptr;
  return ops[static_cast<std::size_t>(
      p.random.Between(0, static_cast<std::int64_t>(ops.size()) - 1))];
}

std::size_t Draw(Planting& p, std::size_t from, std::size_t to) {
  return static_cast<std::size_t>(
      p.random.Between(static_cast<std::int64_t>(from), static_cast<std::int64_t>(to)));
}
double Factor(Planting& p) {
  constexpr double kFactors[] = {0.125, 0.25, 0.4, 0.5, 2, 2.7, 4};
  return kFactors[Draw(p, 0, 6)];
}

// ---- linear layers ----

struct Layer {
  std::string tensor;
  LinearOperands op;
  Codes& codes;
  std::vector<std::int32_t>& bias;
  std::size_t rows, depth;
  std::vector<StackedPart> parts;
  std::size_t heads;  // of a part
  network::Linear floats;
};

template <typename Wanted>
std::optional<Layer> AnyLayer(Planting& p, Wanted wanted) {
  const Rederivation rederivation(p.model, p.inputs);
  const Op* op = AnyOp(p, [&](const Op& o) {
    if (!LinearOperandsOf(o)) return false;
    const network::Node& node = *p.model.NodeOf(OutputOf(o));
    return wanted(node, PartsOf(p.model, OutputOf(o)));
  });
  if (op == nullptr) return std::nullopt;
  const std::string tensor = OutputOf(*op);
  const LinearOperands operands = *LinearOperandsOf(*op);
  network::Linear floats = rederivation.LayerOf(tensor);
  const std::vector<StackedPart> parts = PartsOf(p.model, tensor);
  const network::Node& node = *p.model.NodeOf(tensor);
  const std::size_t heads =
      static_cast<std::size_t>(node.heads) / std::max<std::size_t>(1, parts.size());
  auto& constants = p.bundle.program.constants;
  return Layer{tensor,
               operands,
               constants.at(operands.weight).As<std::int8_t>(),
               constants.at(operands.bias).As<std::int32_t>(),
               floats.bias.size(),
               static_cast<std::size_t>(floats.in_features()),
               parts,
               heads,
               floats};
}
std::optional<Layer> AnyLayer(Planting& p) {
  return AnyLayer(p, [](const network::Node&, const auto&) { return true; });
}

// Row n or column k takes the codes of another one.
void Reorder(Layer& layer, const std::vector<std::size_t>& from, bool columns) {
  const Codes old = layer.codes;
  for (std::size_t n = 0; n < layer.rows; ++n) {
    for (std::size_t k = 0; k < layer.depth; ++k) {
      layer.codes[n * layer.depth + k] =
          columns ? old[n * layer.depth + from[k]] : old[from[n] * layer.depth + k];
    }
  }
}

std::vector<std::size_t> Same(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}
std::vector<std::size_t> Rotated(std::size_t count, std::size_t by) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = (i + by) % count;
  return order;
}
std::vector<std::size_t> Permuted(Planting& p, std::size_t count) {
  std::vector<std::size_t> order = Same(count);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[Draw(p, 0, i - 1)]);
  return order;
}

Planted Weights(const Layer& layer, std::string what, Cause cause, std::string says) {
  return {layer.tensor + ": " + std::move(what), {layer.tensor}, {cause}, std::move(says)};
}

// One row, a head's rows, or some of them anywhere.
std::vector<std::size_t> SomeRows(Planting& p, const Layer& layer, std::string& says) {
  if (layer.heads > 1 && Draw(p, 0, 1) == 0) {
    const std::size_t parts = std::max<std::size_t>(1, layer.parts.size());
    const std::size_t width = layer.rows / parts / layer.heads;
    const std::size_t part = Draw(p, 0, parts - 1), head = Draw(p, 0, layer.heads - 1);
    says =
        fmt::format("head {}{}", head, layer.parts.empty() ? "" : " of " + layer.parts[part].name);
    std::vector<std::size_t> rows = Same(width);
    for (std::size_t& row : rows) row += (part * layer.heads + head) * width;
    return rows;
  }
  const std::size_t row = Draw(p, 0, layer.rows - 1);
  says = fmt::format("channel {}\\b", row);
  return {row};
}

std::vector<PlantKind> WeightKinds() {
  std::vector<PlantKind> kinds;
  const auto add = [&](std::string name, std::function<std::optional<Planted>(Planting&)> plant) {
    kinds.push_back({std::move(name), std::move(plant)});
  };
  add("parts_swapped", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p, [](const network::Node&, const auto& parts) {
      return parts.size() > 1 && parts[0].channels == parts[1].channels;
    });
    if (!layer) return std::nullopt;
    const std::size_t a = Draw(p, 0, layer->parts.size() - 2);
    const std::size_t b = Draw(p, a + 1, layer->parts.size() - 1);
    const StackedPart &first = layer->parts[a], &second = layer->parts[b];
    if (first.channels != second.channels) return std::nullopt;
    std::vector<std::size_t> from = Same(layer->rows);
    for (std::size_t c = 0; c < first.channels; ++c)
      std::swap(from[first.first + c], from[second.first + c]);
    Reorder(*layer, from, false);
    return Weights(*layer, first.name + " and " + second.name, Cause::kHeadLayout,
                   first.name + " and " + second.name + " are in each other's place");
  });
  add("rows_rotated", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const std::size_t by = Draw(p, 1, layer->rows - 1);
    Reorder(*layer, Rotated(layer->rows, by), false);
    return Weights(*layer, fmt::format("rows rotated by {}", by), Cause::kHeadLayout,
                   "rotated|heads|holds what is|each other|reverse");
  });
  add("rows_permuted", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const bool reversed = Draw(p, 0, 1) == 0;
    std::vector<std::size_t> order = reversed ? Same(layer->rows) : Permuted(p, layer->rows);
    if (reversed) std::reverse(order.begin(), order.end());
    Reorder(*layer, order, false);
    return Weights(*layer, reversed ? "rows reversed" : "rows permuted", Cause::kHeadLayout,
                   reversed ? "reverse" : "permuted|hold what is other");
  });
  add("columns_in_another_order", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const bool rotated = Draw(p, 0, 1) == 0;
    const std::size_t by = Draw(p, 1, layer->depth - 1);
    Reorder(*layer, rotated ? Rotated(layer->depth, by) : Permuted(p, layer->depth), true);
    return Weights(*layer, rotated ? fmt::format("columns rotated by {}", by) : "columns permuted",
                   Cause::kHeadLayout, "another order");
  });
  add("two_rows_swapped", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const std::size_t a = Draw(p, 0, layer->rows - 2), b = Draw(p, a + 1, layer->rows - 1);
    std::vector<std::size_t> from = Same(layer->rows);
    std::swap(from[a], from[b]);
    Reorder(*layer, from, false);
    return Weights(*layer, fmt::format("rows {} and {}", a, b), Cause::kHeadLayout,
                   fmt::format("channels {} and {} are in each other's place", a, b));
  });
  add("rows_zeroed", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    std::string says;
    for (const std::size_t n : SomeRows(p, *layer, says)) {
      for (std::size_t k = 0; k < layer->depth; ++k)
        layer->codes[n * layer->depth + k] = static_cast<std::int8_t>(layer->op.WeightZero(n));
    }
    return Weights(*layer, says + " zeroed", Cause::kConstants, "zeros at .*" + says);
  });
  add("rows_negated", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    std::string says;
    for (const std::size_t n : SomeRows(p, *layer, says)) {
      for (std::size_t k = 0; k < layer->depth; ++k) {
        std::int8_t& code = layer->codes[n * layer->depth + k];
        code = static_cast<std::int8_t>(
            std::clamp(2 * layer->op.WeightZero(n) - int{code}, -128, 127));
      }
    }
    return Weights(*layer, says + " negated", Cause::kConstants, says + ".* the wrong sign");
  });
  add("rows_scaled", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    std::string says;
    const double factor = Draw(p, 0, 1) == 0 ? 0.25 : 0.5;
    for (const std::size_t n : SomeRows(p, *layer, says)) {
      for (std::size_t k = 0; k < layer->depth; ++k) {
        std::int8_t& code = layer->codes[n * layer->depth + k];
        const int zero = layer->op.WeightZero(n);
        code = static_cast<std::int8_t>(zero + std::lround((code - zero) * factor));
      }
    }
    return Weights(*layer, fmt::format("{} times {}", says, factor), Cause::kScaleMismatch,
                   says + "|times what they should be");
  });
  add("weights_of_another_layer", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    std::vector<std::string> others;
    for (const Op& op : p.bundle.program.ops) {
      const auto linear = LinearOperandsOf(op);
      if (!linear || OutputOf(op) == layer->tensor) continue;
      if (p.bundle.program.Constant(linear->weight).shape() ==
          p.bundle.program.Constant(layer->op.weight).shape()) {
        others.push_back(OutputOf(op));
      }
    }
    if (others.empty()) return std::nullopt;
    const std::string other = others[Draw(p, 0, others.size() - 1)];
    layer->codes =
        p.bundle.program.Constant(LinearOperandsOf(*ProducerOf(p.bundle.program, other))->weight)
            .As<std::int8_t>();
    return Weights(*layer, "the weights of " + other, Cause::kConstants,
                   "those of '" + other + "'");
  });
  add("weights_on_a_coarser_grid", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const int step = 1 << Draw(p, 3, 5);
    for (std::int8_t& code : layer->codes)
      code = static_cast<std::int8_t>(
          std::clamp(static_cast<int>(std::lround(static_cast<double>(code) / step)) * step, -128,
                     128 - step));
    return Weights(*layer, fmt::format("codes {} apart", step), Cause::kTooFewBits,
                   fmt::format("lie {} apart|too few bits", step));
  });
  add("weights_clipped", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const int limit = static_cast<int>(Draw(p, 15, 30));
    for (std::int8_t& code : layer->codes)
      code = static_cast<std::int8_t>(std::clamp<int>(code, -limit, limit));
    return Weights(*layer, fmt::format("clipped at {}", limit), Cause::kClipping, "clipped");
  });
  return kinds;
}

// ---- biases ----

// Writes biases that are `value` of what they should be, in steps of the accumulator, less what
// corrects for the input's zero point.
template <typename Value>
std::optional<Planted> Biases(Planting& p, std::string what, std::set<Cause> causes,
                              std::string says, Value value) {
  auto layer = AnyLayer(p);
  const WeightFit fit(p.bundle, layer->tensor, layer->floats, std::vector<double>(layer->depth, 1));
  std::vector<double> codes;
  for (std::size_t n = 0; n < layer->rows; ++n) codes.push_back(fit.BiasCode(n));
  for (std::size_t n = 0; n < layer->rows; ++n) {
    const double code = value(fit, codes, n) + fit.ZeroCorrection(n);
    layer->bias[n] = static_cast<std::int32_t>(std::lround(std::clamp(code, -2e9, 2e9)));
  }
  return Planted{
      layer->tensor + ": " + std::move(what), {layer->tensor}, std::move(causes), std::move(says)};
}

std::vector<PlantKind> BiasKinds() {
  using Values = std::vector<double>;
  std::vector<PlantKind> kinds;
  kinds.push_back({"bias_missing", [](Planting& p) {
                     return Biases(
                         p, "no bias", {Cause::kConstants}, "the bias is missing",
                         [](const WeightFit&, const Values&, std::size_t) { return 0.0; });
                   }});
  kinds.push_back({"bias_without_input_scale", [](Planting& p) {
                     return Biases(p, "the weight's scale alone", {Cause::kScaleMismatch},
                                   "weight's scale alone",
                                   [](const WeightFit& fit, const Values& codes, std::size_t n) {
                                     return codes[n] * fit.InputScale(0);
                                   });
                   }});
  kinds.push_back({"bias_scaled", [](Planting& p) {
                     constexpr double kFactors[] = {8, 16, 0.0625, 32, 6};
                     const double factor = kFactors[Draw(p, 0, 4)];
                     return Biases(p, fmt::format("bias times {}", factor), {Cause::kScaleMismatch},
                                   "biases are .* times",
                                   [factor](const WeightFit&, const Values& codes, std::size_t n) {
                                     return codes[n] * factor;
                                   });
                   }});
  kinds.push_back({"bias_rotated", [](Planting& p) {
                     const std::size_t by = Draw(p, 1, 9);
                     return Biases(p, fmt::format("bias rotated by {}", by), {Cause::kHeadLayout},
                                   "biases are in another order",
                                   [by](const WeightFit& fit, const Values& codes, std::size_t n) {
                                     const std::size_t m = (n + by) % codes.size();
                                     return codes[m] * fit.RowScale(m) / fit.RowScale(n);
                                   });
                   }});
  kinds.push_back({"bias_off_by_a_number", [](Planting& p) {
                     const double off = static_cast<double>(Draw(p, 3000, 9000));
                     return Biases(p, fmt::format("bias {} codes off", off),
                                   {Cause::kZeroPointMismatch}, "off by",
                                   [off](const WeightFit&, const Values& codes, std::size_t n) {
                                     return codes[n] + off;
                                   });
                   }});
  kinds.push_back({"bias_negated", [](Planting& p) {
                     return Biases(p, "bias negated", {Cause::kConstants}, "wrong sign",
                                   [](const WeightFit&, const Values& codes, std::size_t n) {
                                     return -codes[n];
                                   });
                   }});
  return kinds;
}

// ---- what is behind the layers ----

bool HasLists(const Op& op) {
  for (const RatioList& list : RatiosOf(op)) {
    if (list.values.size() > 4) return true;
  }
  return false;
}

template <typename Change>
std::optional<Planted> Ratios(Planting& p, const std::function<bool(const Op&)>& wanted,
                              Cause cause, std::string says, Change change) {
  Op* op = AnyOp(p, wanted);
  if (op == nullptr) return std::nullopt;
  std::vector<RatioList> ratios = RatiosOf(*op);
  std::string what = change(ratios, says);
  SetRatios(ratios, *op);
  return Planted{OutputOf(*op) + ": " + std::move(what), {OutputOf(*op)}, {cause}, std::move(says)};
}

RatioList& LongList(std::vector<RatioList>& ratios) {
  return *std::find_if(ratios.begin(), ratios.end(),
                       [](const RatioList& list) { return list.values.size() > 4; });
}

std::vector<PlantKind> ArithmeticKinds() {
  std::vector<PlantKind> kinds;
  kinds.push_back(
      {"output_zero_point", [](Planting& p) -> std::optional<Planted> {
         Op* op = AnyOp(p, [](const Op& o) {
           return !RatiosOf(o).empty() && !IntegersOf(o, Role::kOutputZero).empty();
         });
         if (op == nullptr) return std::nullopt;
         const QuantRange range = p.bundle.program.Tensor(OutputOf(*op)).range;
         const double codes = static_cast<double>(range.qmax) - range.qmin;
         const auto by =
             static_cast<std::int32_t>(std::max(3.0, codes / static_cast<double>(Draw(p, 8, 24))) *
                                       (Draw(p, 0, 1) == 0 ? 1 : -1));
         ForEachParameterOf(*op, [&]<typename T>(const Field& field, T& member) {
           if (field.role != Role::kOutputZero) return;
           if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
             for (std::int32_t& zero : member) zero += by;
           } else if constexpr (std::is_same_v<T, std::int32_t>) {
             member += by;
           }
         });
         return Planted{fmt::format("{}: zero point off by {}", OutputOf(*op), by),
                        {OutputOf(*op)},
                        {Cause::kZeroPointMismatch},
                        fmt::format("{} too {}", std::abs(by), by > 0 ? "large" : "small")};
       }});
  kinds.push_back({"multiplier_lost_in_a_channel", [](Planting& p) {
                     return Ratios(p, HasLists, Cause::kScaleMismatch, "",
                                   [&](std::vector<RatioList>& ratios, std::string& says) {
                                     RatioList& list = LongList(ratios);
                                     const std::size_t c = Draw(p, 0, list.values.size() - 1);
                                     list.values[c].m = 1;
                                     says = fmt::format("channel {}\\b", c);
                                     return fmt::format("channel {} is 1", c);
                                   });
                   }});
  kinds.push_back({"multipliers_rotated", [](Planting& p) {
                     return Ratios(p, HasLists, Cause::kScaleMismatch, "another order",
                                   [&](std::vector<RatioList>& ratios, std::string&) {
                                     RatioList& list = LongList(ratios);
                                     const std::size_t by = Draw(p, 1, list.values.size() - 1);
                                     std::rotate(
                                         list.values.begin(),
                                         list.values.begin() + static_cast<std::ptrdiff_t>(by),
                                         list.values.end());
                                     return fmt::format("rotated by {}", by);
                                   });
                   }});
  kinds.push_back({"multipliers_of_another", [](Planting& p) -> std::optional<Planted> {
                     Op* op = AnyOp(p, HasLists);
                     if (op == nullptr) return std::nullopt;
                     const Op* other = AnyOp(p, [&](const Op& o) {
                       if (o.index() != op->index() || OutputOf(o) == OutputOf(*op)) return false;
                       const auto a = RatiosOf(*op), b = RatiosOf(o);
                       return a.size() == b.size() &&
                              std::equal(a.begin(), a.end(), b.begin(),
                                         [](const RatioList& x, const RatioList& y) {
                                           return x.values.size() == y.values.size();
                                         });
                     });
                     if (other == nullptr) return std::nullopt;
                     SetRatios(RatiosOf(*other), *op);
                     return Planted{OutputOf(*op) + ": multipliers of " + OutputOf(*other),
                                    {OutputOf(*op)},
                                    {Cause::kScaleMismatch},
                                    "those of '" + OutputOf(*other) + "'|times what"};
                   }});
  kinds.push_back(
      {"multipliers_scaled", [](Planting& p) {
         const double factor = Factor(p);
         return Ratios(
             p, [](const Op& o) { return !RatiosOf(o).empty(); }, Cause::kScaleMismatch,
             "times|scaled by",
             [&](std::vector<RatioList>& ratios, std::string&) {
               for (Multiplier& m : ratios.front().values) {
                 const double scaled = m.m * factor;
                 if (std::fabs(scaled) < 32768) {
                   m.m = static_cast<std::int32_t>(std::lround(scaled));
                 } else if (!ratios.front().common_shift && m.shift > 3) {
                   m = {static_cast<std::int32_t>(std::lround(scaled / 8)), m.shift - 3};
                 }
               }
               return fmt::format("multipliers times {}", factor);
             });
       }});
  kinds.push_back({"sides_exchanged", [](Planting& p) {
                     const auto two = [](const Op& op) {
                       const std::vector<RatioList> ratios = RatiosOf(op);
                       return ratios.size() == 2 &&
                              ratios[0].values.size() == ratios[1].values.size();
                     };
                     return Ratios(p, two, Cause::kScaleMismatch, "are in each other's place",
                                   [&](std::vector<RatioList>& ratios, std::string&) {
                                     std::swap(ratios[0].values, ratios[1].values);
                                     return std::string("sides exchanged");
                                   });
                   }});
  kinds.push_back({"accumulator_overflows", [](Planting& p) -> std::optional<Planted> {
                     const int bits = static_cast<int>(Draw(p, 16, 17));
                     const AccPolicy policy =
                         Draw(p, 0, 1) == 0 ? AccPolicy::kWrap : AccPolicy::kSaturate;
                     std::set<std::string> tensors;
                     for (Op& op : p.bundle.program.ops) {
                       Accumulator* acc = AccumulatorOf(op);
                       if (acc == nullptr) continue;
                       *acc = {bits, policy};
                       tensors.insert(OutputOf(op));
                       for (TensorInfo& info : p.bundle.program.tensors) {
                         if (info.name == OutputOf(op))
                           info.range = {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
                       }
                     }
                     return Planted{fmt::format("accumulators of {} bits, {}", bits, Name(policy)),
                                    tensors,
                                    {Cause::kOverflow},
                                    fmt::format("accumulators of {} bits overflow", bits)};
                   }});
  return kinds;
}

// ---- tables, constants, pixels, ranges ----

// Of one entry for each code of the input; null where it has none.
std::vector<std::int32_t>* TableOf(Op& op, const Program& program) {
  std::vector<std::int32_t>* table = nullptr;
  ForEachParameterOf(op, [&]<typename T>(const Field& field, T& member) {
    if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
      if (field.role == Role::kTable) table = &member;
    }
  });
  const QuantRange range = program.Tensor(InputsOf(op).front()).range;
  const std::int64_t codes = std::int64_t{range.qmax} - range.qmin + 1;
  return table != nullptr && static_cast<std::int64_t>(table->size()) == codes ? table : nullptr;
}

double Function(const network::Node& node, double x) {
  if (const auto* functions = std::get_if<network::Elementwise>(&node.function))
    return functions->of.front()(x);
  return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
}

// Every entry from a function of its real input.
std::optional<Planted> Table(Planting& p, std::string what, std::string says,
                             const std::function<double(const network::Node&, double x)>& of) {
  Op* op = AnyOp(p, [&](Op& o) {
    return TableOf(o, p.bundle.program) != nullptr &&
           !std::holds_alternative<network::Softmax>(p.model.NodeOf(OutputOf(o))->function);
  });
  if (op == nullptr) return std::nullopt;
  std::vector<std::int32_t>& table = *TableOf(*op, p.bundle.program);
  const std::vector<std::int32_t> old = table;
  const std::string input = InputsOf(*op).front(), output = OutputOf(*op);
  const Quantization in = p.bundle.scales.at(input).At(0), out = p.bundle.scales.at(output).At(0);
  const QuantRange codes = p.bundle.program.Tensor(input).range,
                   range = p.bundle.program.Tensor(output).range;
  for (std::size_t i = 0; i < old.size(); ++i) {
    const double x =
        in.scale * (static_cast<double>(i) + codes.qmin - static_cast<double>(in.zero));
    const double y = of ? of(*p.model.NodeOf(output), x) / out.scale + out.zero
                        : old[(i + old.size() / 2) % old.size()];
    table[i] =
        static_cast<std::int32_t>(std::lround(std::clamp<double>(y, range.qmin, range.qmax)));
  }
  return Planted{output + ": " + std::move(what), {output}, {Cause::kTable}, std::move(says)};
}

std::vector<PlantKind> TableKinds() {
  std::vector<PlantKind> kinds;
  kinds.push_back({"table_for_another_scale", [](Planting& p) {
                     constexpr double kFactors[] = {0.25, 0.5, 2, 3, 1.5};
                     const double factor = kFactors[Draw(p, 0, 4)];
                     return Table(p, fmt::format("table for a scale times {}", factor),
                                  fmt::format("input scale that is {}", factor),
                                  [factor](const network::Node& node, double x) {
                                    return Function(node, factor * x);
                                  });
                   }});
  kinds.push_back({"table_of_another_function", [](Planting& p) {
                     const bool relu = Draw(p, 0, 1) == 0;
                     return Table(p, relu ? "ReLU" : "tanh", relu ? "that of ReLU" : "that of tanh",
                                  [relu](const network::Node&, double x) {
                                    return relu ? std::max(x, 0.0) : std::tanh(x);
                                  });
                   }});
  kinds.push_back({"table_by_unsigned_codes",
                   [](Planting& p) { return Table(p, "halves exchanged", "halves", {}); }});
  return kinds;
}

// The constant of positions, where the network has one.
std::optional<Planted> Positions(Planting& p, std::string what, std::string says,
                                 const std::function<std::vector<std::size_t>(std::size_t)>& from) {
  for (const Op& op : p.bundle.program.ops) {
    const network::Node& node = *p.model.NodeOf(OutputOf(op));
    if (!std::holds_alternative<network::Positions>(node.function)) continue;
    for (const std::string& name : ConstantsOf(op)) {
      IntTensor& constant = p.bundle.program.constants.at(name);
      const IntTensor old = constant;
      const auto width = static_cast<std::size_t>(old.shape().back());
      const std::size_t rows = static_cast<std::size_t>(old.size()) / width;
      const std::vector<std::size_t> order = from(rows);
      std::visit(
          [&]<typename T>(std::vector<T>& values) {
            for (std::size_t i = 0; i < values.size(); ++i) {
              values[i] = order.empty() ? T{}
                                        : static_cast<T>(old.At(static_cast<std::int64_t>(
                                              order[i / width] * width + i % width)));
            }
          },
          constant.storage());
      return Planted{OutputOf(op) + ": " + std::move(what),
                     {OutputOf(op)},
                     {Cause::kPositions},
                     std::move(says)};
    }
  }
  return std::nullopt;
}

std::vector<PlantKind> InputKinds() {
  std::vector<PlantKind> kinds;
  kinds.push_back({"positions", [](Planting& p) -> std::optional<Planted> {
                     switch (Draw(p, 0, 3)) {
                       case 0:
                         return Positions(p, "zero", "positions are 0",
                                          [](std::size_t) { return std::vector<std::size_t>(); });
                       case 1:
                         return Positions(p, "reversed", "reverse", [](std::size_t rows) {
                           std::vector<std::size_t> order = Same(rows);
                           std::reverse(order.begin(), order.end());
                           return order;
                         });
                       case 2:
                         return Positions(p, "rotated", "rotated", [&](std::size_t rows) {
                           return Rotated(rows, Draw(p, 1, rows - 1));
                         });
                       default:
                         return Positions(p, "permuted", "permuted|hold",
                                          [&](std::size_t rows) { return Permuted(p, rows); });
                     }
                   }});
  const auto patches = [](const network::Node& node, const network::Network& model) {
    return std::get_if<network::Patches>(&model.At(node.inputs[0]).function);
  };
  kinds.push_back(
      {"pixels_in_another_order", [=](Planting& p) -> std::optional<Planted> {
         auto layer = AnyLayer(p, [&](const network::Node& node, const auto&) {
           return patches(node, p.model) != nullptr;
         });
         if (!layer) return std::nullopt;
         const auto size =
             static_cast<std::size_t>(patches(*p.model.NodeOf(layer->tensor), p.model)->size);
         const std::size_t colours = layer->depth / size / size;
         std::vector<std::size_t> from(layer->depth);
         const std::size_t kind = Draw(p, colours > 1 ? 0 : 2, 2);
         for (std::size_t i = 0; i < from.size(); ++i) {
           const std::size_t c = i / size / size, y = i / size % size, x = i % size;
           from[i] = kind == 0   ? ((colours - 1 - c) * size + y) * size + x
                     : kind == 1 ? i % colours * size * size + i / colours
                                 : (c * size + x) * size + y;
         }
         Reorder(*layer, from, true);
         constexpr const char* kSays[] = {"colours are in reverse order",
                                          "\\[row, column, colour\\]", "\\[colour, column, row\\]"};
         return Weights(*layer, kSays[kind], Cause::kHeadLayout, kSays[kind]);
       }});
  kinds.push_back(
      {"pixels_of_other_statistics", [=](Planting& p) -> std::optional<Planted> {
         const auto* images = std::get_if<ImageInputs>(&p.inputs.data);
         auto layer = AnyLayer(p, [&](const network::Node& node, const auto&) {
           return patches(node, p.model) != nullptr;
         });
         if (!layer || images == nullptr) return std::nullopt;
         ModelInputs others = p.inputs;
         auto& other = std::get<ImageInputs>(others.data);
         for (std::size_t c = 0; c < other.mean.size(); ++c) {
           other.mean[c] = static_cast<double>(Draw(p, 20, 60)) / 100;
           other.stddev[c] = static_cast<double>(Draw(p, 18, 60)) / 100;
         }
         const network::Linear floats = Rederivation(p.model, others).LayerOf(layer->tensor);
         std::vector<double> scale = p.bundle.scales.at(layer->op.weight).scale;
         double most = 0;
         for (std::size_t c = 0; c < other.mean.size(); ++c)
           most = std::max(most, images->stddev[c] / other.stddev[c]);
         for (double& s : scale) s *= most;
         Rederivation(p.model, p.inputs).Requantize(layer->tensor, floats, scale, p.bundle);
         return Weights(*layer,
                        fmt::format("mean {:.2f}, std {:.2f}", other.mean[0], other.stddev[0]),
                        Cause::kConstants, "made for pixels of mean");
       }});
  kinds.push_back({"clipped_range", [](Planting& p) -> std::optional<Planted> {
                     const Op* op = AnyOp(p, [&](const Op& o) {
                       const TensorInfo& info = p.bundle.program.Tensor(OutputOf(o));
                       return SuitsAnyGrid(o) && info.dtype != DType::kInt32 &&
                              !LinearOperandsOf(o) && SectionOf(p.model, OutputOf(o)) != nullptr;
                     });
                     if (op == nullptr) return std::nullopt;
                     const std::string tensor = OutputOf(*op);
                     Activation grid = StatedUnits(p.bundle, tensor);
                     const double factor = static_cast<double>(Draw(p, 10, 25)) / 100;
                     for (double& s : grid.scale) s *= factor;
                     Rederivation(p.model, p.inputs).Regrid(grid, p.bundle);
                     return Planted{
                         fmt::format("{}: range times {}", tensor, factor),
                         {tensor},
                         {Cause::kClipping, Cause::kGateSaturates, Cause::kCalibrationCoverage},
                         "clips|clipped"};
                   }});
  kinds.push_back({"range_of_an_outlier", [](Planting& p) -> std::optional<Planted> {
                     const Op* op = AnyOp(p, [&](const Op& o) {
                       const TensorInfo& info = p.bundle.program.Tensor(OutputOf(o));
                       return SuitsAnyGrid(o) && BitsFor({info.range.qmin, info.range.qmax}) <= 8 &&
                              SectionOf(p.model, OutputOf(o)) != nullptr;
                     });
                     if (op == nullptr) return std::nullopt;
                     const std::string tensor = OutputOf(*op);
                     Activation grid = StatedUnits(p.bundle, tensor);
                     const double factor = std::pow(10.0, static_cast<double>(Draw(p, 2, 6)) / 2);
                     for (double& s : grid.scale) s *= factor;
                     Rederivation(p.model, p.inputs).Regrid(grid, p.bundle);
                     return Planted{fmt::format("{}: range times {:.3g}", tensor, factor),
                                    {tensor},
                                    {Cause::kChannelOutliers},
                                    "outlier"};
                   }});
  return kinds;
}

}  // namespace

const std::vector<PlantKind>& PlantKinds() {
  static const std::vector<PlantKind> kKinds = [] {
    std::vector<PlantKind> all;
    for (auto* kinds : {&WeightKinds, &BiasKinds, &ArithmeticKinds, &TableKinds, &InputKinds}) {
      for (PlantKind& kind : (*kinds)()) all.push_back(std::move(kind));
    }
    return all;
  }();
  return kKinds;
}

}  // namespace qsim::testing
