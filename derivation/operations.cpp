#include "derivation/operations.h"

#include "derivation/ran.h"

namespace qsim::derivation {

bool CompareOperation(Comparison& comparison, const Program& program, const Op& op,
                      const TensorMap& values) {
  return std::visit(
      [&]<typename T>(const T&) {
        if constexpr (requires(const Ran<T>& ran) { CompareRan(comparison, ran); }) {
          Program alone = program;
          alone.ops = {op};
          CompareRan(comparison, Ran<T>(std::move(alone), values));
          return true;
        } else {
          return false;
        }
      },
      op);
}

}  // namespace qsim::derivation
