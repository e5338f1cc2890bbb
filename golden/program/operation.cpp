#include "golden/program/operation.h"

#include <algorithm>
#include <initializer_list>
#include <type_traits>

namespace qsim::golden {
namespace {

// The names of an operation's members with one of the roles; unused optional ones are left out.
std::vector<std::string> NamesWith(const Op& op, std::initializer_list<Role> roles) {
  std::vector<std::string> names;
  std::visit(
      [&](const auto& o) {
        ForEachField(o, [&]<typename T>(const Field& field, const T& member) {
          if constexpr (std::is_same_v<T, std::string>) {
            if (std::find(roles.begin(), roles.end(), field.role) != roles.end() && !member.empty())
              names.push_back(member);
          }
        });
      },
      op);
  return names;
}

}  // namespace

const Description& Describe(const Op& op) {
  return std::visit([]<typename T>(const T&) -> const Description& { return T::kIs; }, op);
}

std::string_view SectionOf(const Op& op) {
  return std::visit(
      []<typename T>(const T& o) -> std::string_view {
        if constexpr (requires { o.Section(); }) return o.Section();
        return T::kIs.section;
      },
      op);
}

std::string FormulaOf(const Program& program, const Op& op) {
  std::string text;
  const auto of_algorithm = [&]<typename O, typename... T>(const O& o,
                                                           const std::variant<T...>& algorithm) {
    text = "algorithm " + std::string(NameOfAlgorithm(algorithm)) +
           (text.empty() ? "\n" : ", " + text + "\n");
    std::visit(
        [&]<typename Params>(const Params& params) {
          if constexpr (requires { o.FormulaOf(params); }) {
            text += o.FormulaOf(params);
          } else if constexpr (requires { params.Formula(); }) {
            text += params.Formula();
          } else {
            text += Params::kFormula;
          }
        },
        algorithm);
  };
  std::visit(
      [&]<typename T>(const T& o) {
        if constexpr (requires { o.Formula(program); }) {
          text = o.Formula(program);
        } else {
          text = T::kIs.formula;
        }
        ForEachField(o, [&]<typename M>(const Field&, const M& member) {
          if constexpr (kIsVariant<M>) of_algorithm(o, member);
          if constexpr (kIsVectorOfVariants<M>) of_algorithm(o, member.front());
        });
      },
      op);
  return text;
}

const std::string& OutputOf(const Op& op) {
  return std::visit([](const auto& o) -> const std::string& { return o.output; }, op);
}

std::vector<std::string> InputsOf(const Op& op) { return NamesWith(op, {Role::kReads}); }

std::vector<std::string> ConstantsOf(const Op& op) {
  return NamesWith(op, {Role::kConstant, Role::kWeight, Role::kBias});
}

std::string WeightOf(const Op& op) {
  const std::vector<std::string> weights = NamesWith(op, {Role::kWeight});
  return weights.empty() ? "" : weights.front();
}

}  // namespace qsim::golden
