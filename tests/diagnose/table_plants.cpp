// Tables, positions, pixels, ranges.
#include "sim/semantics/activation.h"
#include "tests/diagnose/plant_tools.h"

namespace qsim::testing {
namespace {

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

Op* AnyTable(Planting& p) {
  return AnyOp(p, [&](Op& o) {
    return TableOf(o, p.bundle.program) != nullptr &&
           !std::holds_alternative<network::Softmax>(p.model.NodeOf(OutputOf(o))->function);
  });
}

// Every entry from those that are there.
template <typename Value>
std::optional<Planted> Entries(Planting& p, std::string what, std::set<Cause> causes,
                               std::string says, Value value) {
  Op* op = AnyTable(p);
  if (op == nullptr) return std::nullopt;
  std::vector<std::int32_t>& table = *TableOf(*op, p.bundle.program);
  const std::vector<std::int32_t> old = table;
  const QuantRange range = p.bundle.program.Tensor(OutputOf(*op)).range;
  for (std::size_t i = 0; i < old.size(); ++i) {
    table[i] = static_cast<std::int32_t>(
        std::lround(std::clamp<double>(value(old, i), range.qmin, range.qmax)));
  }
  return Planted{
      OutputOf(*op) + ": " + std::move(what), {OutputOf(*op)}, std::move(causes), std::move(says)};
}

// Every entry from a function of its real input.
std::optional<Planted> Table(Planting& p, std::string what, std::string says,
                             const std::function<double(const network::Node&, double x)>& of) {
  Op* op = AnyTable(p);
  if (op == nullptr) return std::nullopt;
  std::vector<std::int32_t>& table = *TableOf(*op, p.bundle.program);
  const std::string input = InputsOf(*op).front(), output = OutputOf(*op);
  const Quantization in = p.bundle.scales.at(input).At(0), out = p.bundle.scales.at(output).At(0);
  const QuantRange codes = p.bundle.program.Tensor(input).range,
                   range = p.bundle.program.Tensor(output).range;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double x =
        in.scale * (static_cast<double>(i) + codes.qmin - static_cast<double>(in.zero));
    const double y = of(*p.model.NodeOf(output), x) / out.scale + out.zero;
    table[i] =
        static_cast<std::int32_t>(std::lround(std::clamp<double>(y, range.qmin, range.qmax)));
  }
  return Planted{output + ": " + std::move(what), {output}, {Cause::kTable}, std::move(says)};
}

}  // namespace

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
  kinds.push_back({"table_on_a_coarser_grid", [](Planting& p) {
                     const double step = static_cast<double>(std::size_t{1} << Draw(p, 3, 5));
                     return Entries(p, fmt::format("entries {} apart", step), {Cause::kTooFewBits},
                                    fmt::format("lie {} apart", step),
                                    [step](const auto& old, std::size_t i) {
                                      return std::round(old[i] / step) * step;
                                    });
                   }});
  kinds.push_back({"table_reversed", [](Planting& p) {
                     return Entries(p, "reversed", {Cause::kTable}, "reverse",
                                    [](const auto& old, std::size_t i) {
                                      return static_cast<double>(old[old.size() - 1 - i]);
                                    });
                   }});
  kinds.push_back({"table_moved", [](Planting& p) {
                     const bool rotated = Draw(p, 0, 1) == 0;
                     const std::size_t by = Draw(p, 6, 20);
                     return Entries(
                         p, fmt::format("entries {} further{}", by, rotated ? ", around" : ""),
                         {Cause::kTable},
                         rotated ? fmt::format("rotated by {}|zero point", by) : "zero point",
                         [=](const auto& old, std::size_t i) {
                           const std::size_t n = old.size();
                           return static_cast<double>(rotated ? old[(i + by) % n]
                                                              : old[std::min(i + by, n - 1)]);
                         });
                   }});
  kinds.push_back({"table_cut_off", [](Planting& p) {
                     return Entries(p, "cut off at 0", {Cause::kTable}, "cut off|that of ReLU",
                                    [](const auto& old, std::size_t i) {
                                      return static_cast<double>(std::max(old[i], old[0]));
                                    });
                   }});
  kinds.push_back({"table_by_unsigned_codes", [](Planting& p) {
                     return Entries(
                         p, "halves exchanged", {Cause::kTable}, "halves",
                         [](const auto& old, std::size_t i) {
                           return static_cast<double>(old[(i + old.size() / 2) % old.size()]);
                         });
                   }});
  return kinds;
}

namespace {

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

}  // namespace

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

}  // namespace qsim::testing
