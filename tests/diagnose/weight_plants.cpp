#include "sim/diagnose/causes/weight_fit.h"
#include "tests/diagnose/plant_tools.h"

namespace qsim::testing {

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
  add("head_of_another", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p, [](const network::Node& node, const auto& parts) {
      return static_cast<std::size_t>(node.heads) > std::max<std::size_t>(1, parts.size());
    });
    if (!layer) return std::nullopt;
    const std::size_t parts = std::max<std::size_t>(1, layer->parts.size());
    const std::size_t width = layer->rows / parts / layer->heads;
    const std::size_t part = Draw(p, 0, parts - 1), at = Draw(p, 0, layer->heads - 1);
    const std::size_t theirs = (at + Draw(p, 1, layer->heads - 1)) % layer->heads;
    std::vector<std::size_t> from = Same(layer->rows);
    for (std::size_t c = 0; c < width; ++c)
      from[(part * layer->heads + at) * width + c] = (part * layer->heads + theirs) * width + c;
    Reorder(*layer, from, false);
    const std::string of = layer->parts.empty() ? "" : " of " + layer->parts[part].name;
    return Weights(*layer, fmt::format("head {}{} is head {}", at, of, theirs), Cause::kHeadLayout,
                   fmt::format("head {}{} holds what is head {}{}'s", at, of, theirs, of));
  });
  add("row_of_another", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const std::size_t at = Draw(p, 0, layer->rows - 1);
    const std::size_t theirs = (at + Draw(p, 1, layer->rows - 1)) % layer->rows;
    std::vector<std::size_t> from = Same(layer->rows);
    from[at] = theirs;
    Reorder(*layer, from, false);
    return Weights(*layer, fmt::format("row {} is row {}", at, theirs), Cause::kHeadLayout,
                   fmt::format("channel {}\\b.* holds what is output channel {}'s", at, theirs));
  });
  add("weights_transposed", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    if (layer->rows != layer->depth) return std::nullopt;
    const Codes old = layer->codes;
    for (std::size_t n = 0; n < layer->rows; ++n) {
      for (std::size_t k = 0; k < layer->depth; ++k)
        layer->codes[n * layer->depth + k] = old[k * layer->depth + n];
    }
    return Weights(*layer, "transposed", Cause::kHeadLayout, "transposed");
  });
  add("weights_off_by_a_number", [](Planting& p) -> std::optional<Planted> {
    auto layer = AnyLayer(p);
    const int by = static_cast<int>(Draw(p, 6, 20)) * (Draw(p, 0, 1) == 0 ? 1 : -1);
    for (std::int8_t& code : layer->codes)
      code = static_cast<std::int8_t>(std::clamp(code + by, -128, 127));
    return Weights(*layer, fmt::format("codes {} off", by), Cause::kZeroPointMismatch,
                   "off by one number");
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
    // All rows, or as many as a head may have.
    const std::size_t rows = Draw(p, 0, 1) == 0 ? layer->rows : layer->rows / 6;
    const auto first = static_cast<std::ptrdiff_t>(Draw(p, 0, layer->rows - rows) * layer->depth);
    const auto begin = layer->codes.begin() + first;
    std::for_each(begin, begin + static_cast<std::ptrdiff_t>(rows * layer->depth),
                  [step](std::int8_t& code) {
                    const auto number = std::lround(static_cast<double>(code) / step);
                    code = static_cast<std::int8_t>(
                        std::clamp(static_cast<int>(number) * step, -128, 128 - step));
                  });
    return Weights(*layer, fmt::format("codes of {} rows {} apart", rows, step), Cause::kTooFewBits,
                   fmt::format("lie {} apart", step));
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

namespace {

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

}  // namespace

std::vector<PlantKind> BiasKinds() {
  using Values = std::vector<double>;
  std::vector<PlantKind> kinds;
  kinds.push_back({"bias_missing", [](Planting& p) {
                     return Biases(
                         p, "no bias", {Cause::kConstants}, "the bias is missing",
                         [](const WeightFit&, const Values&, std::size_t) { return 0.0; });
                   }});
  kinds.push_back({"bias_all_zeros", [](Planting& p) -> std::optional<Planted> {
                     auto layer = AnyLayer(p);
                     std::fill(layer->bias.begin(), layer->bias.end(), 0);
                     return Weights(*layer, "stored biases are 0", Cause::kConstants,
                                    "the bias is missing");
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
                                   "biases.* are .* times",
                                   [factor](const WeightFit&, const Values& codes, std::size_t n) {
                                     return codes[n] * factor;
                                   });
                   }});
  kinds.push_back({"stored_bias_scaled", [](Planting& p) {
                     constexpr double kFactors[] = {3, 1.5, 0.5, 0.25, 2};
                     const double factor = kFactors[Draw(p, 0, 4)];
                     return Biases(
                         p, fmt::format("stored bias times {}", factor), {Cause::kScaleMismatch},
                         "biases.* (are .* times|are shifted)",
                         [factor](const WeightFit& fit, const Values& codes, std::size_t n) {
                           const double zero = fit.ZeroCorrection(n);
                           return (codes[n] + zero) * factor - zero;
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
  kinds.push_back({"bias_with_another_scale", [](Planting& p) {
                     const bool twice = Draw(p, 0, 1) == 0;
                     return Biases(
                         p, twice ? "the input's scale twice" : "the input's scale alone",
                         {Cause::kScaleMismatch},
                         twice ? "input's scale of .* twice" : "the input's scale alone",
                         [twice](const WeightFit& fit, const Values& codes, std::size_t n) {
                           const double input = fit.InputScale(0);
                           return codes[n] * (twice ? 1 : fit.RowScale(n)) / input;
                         });
                   }});
  kinds.push_back(
      {"bias_of_another_layer", [](Planting& p) -> std::optional<Planted> {
         auto layer = AnyLayer(p);
         std::vector<std::string> others;
         const Rederivation rederivation(p.model, p.inputs);
         for (const Op& op : p.bundle.program.ops) {
           if (LinearOperandsOf(op) && OutputOf(op) != layer->tensor &&
               rederivation.LayerOf(OutputOf(op)).bias.size() == layer->rows) {
             others.push_back(OutputOf(op));
           }
         }
         if (others.empty()) return std::nullopt;
         const std::string other = others[Draw(p, 0, others.size() - 1)];
         if (Draw(p, 0, 1) == 0) {
           const LinearOperands op = *LinearOperandsOf(*ProducerOf(p.bundle.program, other));
           layer->bias = p.bundle.program.Constant(op.bias).As<std::int32_t>();
           return Weights(*layer, "the stored bias of " + other, Cause::kConstants,
                          "those of '" + other + "'");
         }
         const std::vector<float> theirs = rederivation.LayerOf(other).bias;
         const WeightFit fit(p.bundle, layer->tensor, layer->floats,
                             std::vector<double>(layer->depth, 1));
         for (std::size_t n = 0; n < layer->rows; ++n) {
           layer->bias[n] = static_cast<std::int32_t>(std::lround(
               static_cast<double>(theirs[n]) / fit.RowScale(n) + fit.ZeroCorrection(n)));
         }
         return Weights(*layer, "the bias of " + other, Cause::kConstants,
                        "those of '" + other + "'");
       }});
  kinds.push_back({"bias_negated", [](Planting& p) {
                     return Biases(p, "bias negated", {Cause::kConstants}, "wrong sign",
                                   [](const WeightFit&, const Values& codes, std::size_t n) {
                                     return -codes[n];
                                   });
                   }});
  return kinds;
}

}  // namespace qsim::testing
