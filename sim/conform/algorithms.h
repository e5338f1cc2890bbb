// What qsim can run of the conformance families: one entry per op and algorithm of case.json.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "golden/program/backend.h"
#include "sim/conform/conform_case.h"

namespace qsim::conform {

struct ConformAlgorithm {
  std::string_view op;
  std::string_view algorithm;
  // Computes the case's outputs with golden/ops: every output that the case lists, and possibly
  // intermediates that it does not. Throws InputError for parameters or tensors that the algorithm
  // does not define.
  CaseTensors (*golden)(const ConformCase&);
  // The same on RTL, driven through `rtl`; nullopt where the case lies outside what the RTL takes
  // (wider operands, another rounding). Null where there is no RTL for the algorithm.
  std::optional<CaseTensors> (*rtl)(const ConformCase&, Backend& rtl) = nullptr;
};

// By family.
std::span<const ConformAlgorithm> RequantAlgorithms();
std::span<const ConformAlgorithm> MatmulRequantAlgorithms();
std::span<const ConformAlgorithm> SoftmaxAlgorithms();
std::span<const ConformAlgorithm> LayernormAlgorithms();
std::span<const ConformAlgorithm> GeluAlgorithms();
std::span<const ConformAlgorithm> AttentionAlgorithms();
std::span<const ConformAlgorithm> ObserverAlgorithms();
std::span<const ConformAlgorithm> QuantizeAlgorithms();

// Null for a pair that no family has.
const ConformAlgorithm* FindConformAlgorithm(std::string_view op, std::string_view algorithm);

}  // namespace qsim::conform
