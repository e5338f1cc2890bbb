#include "sim/conform/algorithms.h"

namespace qsim::conform {

const ConformAlgorithm* FindConformAlgorithm(std::string_view op, std::string_view algorithm) {
  for (const auto family :
       {RequantAlgorithms, MatmulRequantAlgorithms, SoftmaxAlgorithms, LayernormAlgorithms,
        GeluAlgorithms, AttentionAlgorithms, ObserverAlgorithms, QuantizeAlgorithms}) {
    for (const ConformAlgorithm& entry : family()) {
      if (entry.op == op && entry.algorithm == algorithm) return &entry;
    }
  }
  return nullptr;
}

}  // namespace qsim::conform
