// Faults of several operations at once: exchanged layers, other weights, an overflow beside another
// fault.
#include "tests/diagnose/plant_tools.h"

namespace qsim::testing {
namespace {

std::optional<Planted> Plant(Planting& p, const std::string& name) {
  for (auto* kinds : {&WeightKinds, &BiasKinds, &ArithmeticKinds}) {
    for (const PlantKind& kind : (*kinds)()) {
      if (kind.name == name) return kind.plant(p);
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<PlantKind> BundleKinds() {
  std::vector<PlantKind> kinds;
  kinds.push_back(
      {"layers_exchanged", [](Planting& p) -> std::optional<Planted> {
         auto layer = AnyLayer(p);
         std::vector<std::string> others;
         for (const Op& op : p.bundle.program.ops) {
           const auto linear = LinearOperandsOf(op);
           if (linear && OutputOf(op) != layer->tensor &&
               p.bundle.program.Constant(linear->weight).shape() ==
                   p.bundle.program.Constant(layer->op.weight).shape()) {
             others.push_back(OutputOf(op));
           }
         }
         if (others.empty()) return std::nullopt;
         const std::string other = others[Draw(p, 0, others.size() - 1)];
         const LinearOperands theirs = *LinearOperandsOf(*ProducerOf(p.bundle.program, other));
         std::swap(layer->codes, p.bundle.program.constants.at(theirs.weight).As<std::int8_t>());
         return Planted{layer->tensor + " and " + other,
                        {layer->tensor, other},
                        {Cause::kConstants},
                        "those of '(" + layer->tensor + "|" + other + ")'"};
       }});
  kinds.push_back({"stale_weights", [](Planting& p) -> std::optional<Planted> {
                     const Rederivation rederivation(p.model, p.inputs);
                     std::set<std::string> layers;
                     const double by = static_cast<double>(Draw(p, 10, 60)) / 100;
                     for (const Op& op : p.bundle.program.ops) {
                       if (LinearOperandsOf(op)) layers.insert(OutputOf(op));
                     }
                     for (const std::string& tensor : layers) {
                       network::Linear trained = rederivation.LayerOf(tensor);
                       double squares = 0;
                       for (const float w : trained.weight.data)
                         squares += std::pow(static_cast<double>(w), 2);
                       const double rms =
                           std::sqrt(squares / static_cast<double>(trained.weight.data.size()));
                       for (float& w : trained.weight.data)
                         w += static_cast<float>(
                             by * rms * static_cast<double>(Draw(p, 0, 200)) / 100 - by * rms);
                       const std::string weight =
                           LinearOperandsOf(*ProducerOf(p.bundle.program, tensor))->weight;
                       const std::vector<double> scale = p.bundle.scales.at(weight).scale;
                       rederivation.Requantize(tensor, trained, scale, p.bundle);
                     }
                     p.bundle.provenance.weights_hash = std::string(64, '0');
                     return Planted{fmt::format("weights off by {} of themselves", by),
                                    layers,
                                    {Cause::kStaleWeights},
                                    "made of other weights"};
                   }});
  // Each hides what the other does, so that one repair by itself may make the output worse.
  kinds.push_back({"overflow_beside_another_fault", [](Planting& p) -> std::optional<Planted> {
                     auto overflow = Plant(p, "accumulator_overflows");
                     auto other =
                         Plant(p, Draw(p, 0, 1) == 0 ? "multipliers_scaled" : "rows_scaled");
                     if (!overflow || !other) return std::nullopt;
                     overflow->what += "; " + other->what;
                     overflow->operations.merge(other->operations);
                     overflow->causes.merge(other->causes);
                     overflow->says += "|" + other->says;
                     return overflow;
                   }});
  return kinds;
}

}  // namespace qsim::testing
