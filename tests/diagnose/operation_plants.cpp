// What is behind the linear layers: ratios, zero points, accumulators, made for other scales.
#include "tests/diagnose/plant_tools.h"

namespace qsim::testing {
namespace {

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

}  // namespace

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
  kinds.push_back({"multiplier_of_another_channel", [](Planting& p) {
                     return Ratios(p, HasLists, Cause::kScaleMismatch, "",
                                   [&](std::vector<RatioList>& ratios, std::string& says) {
                                     RatioList& list = LongList(ratios);
                                     const std::size_t count = list.values.size();
                                     const std::size_t c = Draw(p, 0, count - 1);
                                     const std::size_t by = Draw(p, 1, count - 1);
                                     list.values[c] = list.values[(c + by) % count];
                                     says = fmt::format("channel {}\\b", c);
                                     return fmt::format("channel {} is {}'s", c, (c + by) % count);
                                   });
                   }});
  kinds.push_back({"addends_in_another_order", [](Planting& p) -> std::optional<Planted> {
                     Op* op = AnyOp(p, [](const Op& o) {
                       const std::vector<Integers> lists = IntegersOf(o, Role::kAddend);
                       return !lists.empty() && lists[0].values.size() > 8;
                     });
                     if (op == nullptr) return std::nullopt;
                     const bool reversed = Draw(p, 0, 1) == 0;
                     const auto by = static_cast<std::ptrdiff_t>(Draw(p, 1, 8));
                     ForEachParameterOf(*op, [&]<typename T>(const Field& field, T& member) {
                       if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
                         if (field.role != Role::kAddend || member.size() <= 8) return;
                         if (reversed) std::reverse(member.begin(), member.end());
                         if (!reversed)
                           std::rotate(member.begin(), member.begin() + by, member.end());
                       }
                     });
                     return Planted{
                         fmt::format("{}: addends {}", OutputOf(*op),
                                     reversed ? "reversed" : fmt::format("rotated by {}", by)),
                         {OutputOf(*op)},
                         {Cause::kConstants},
                         reversed ? "another order: .*reverse" : "another order: .*rotated"};
                   }});
  // The whole operation as another scale of what it reads would ask for it.
  kinds.push_back(
      {"made_for_another_scale", [](Planting& p) -> std::optional<Planted> {
         Op* op =
             AnyOp(p, [](const Op& o) { return !LinearOperandsOf(o) && !InputsOf(o).empty(); });
         if (op == nullptr) return std::nullopt;
         const double factor = Factor(p);
         const std::string tensor = OutputOf(*op), input = InputsOf(*op).front();
         Bundle other = p.bundle;
         for (double& s : other.scales.at(input).scale) s *= factor;
         Rederivation(p.model, p.inputs).Derive({tensor}, other);
         if (*ProducerOf(other.program, tensor) == *op) return std::nullopt;
         *op = *ProducerOf(other.program, tensor);
         return Planted{fmt::format("{}: made for {} times the scale of {}", tensor, factor, input),
                        {tensor},
                        {Cause::kScaleMismatch, Cause::kConstants, Cause::kTable, Cause::kNormEps,
                         Cause::kHeadDimScale},
                        "times|scaled by"};
       }});
  kinds.push_back({"sides_exchanged", [](Planting& p) {
                     Op* op = AnyOp(p, [](const Op& o) { return RatiosOf(o).size() == 2; });
                     if (op == nullptr) return std::optional<Planted>();
                     std::vector<std::int32_t>* first = nullptr;
                     ForEachParameterOf(*op, [&]<typename T>(const Field& field, T& member) {
                       if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
                         if (field.role != Role::kMultiplier) return;
                         if (first != nullptr) std::swap(*first, member);
                         first = &member;
                       }
                     });
                     if (first == nullptr) return std::optional<Planted>();
                     return std::optional<Planted>(Planted{OutputOf(*op) + ": sides exchanged",
                                                           {OutputOf(*op)},
                                                           {Cause::kScaleMismatch},
                                                           "are in each other's place"});
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

}  // namespace qsim::testing
