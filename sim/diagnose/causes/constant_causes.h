// An operation's own numbers - ratios of scales, addends, constants, coefficients - beside those
// that the scales around it ask for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/diagnose/causes/bias_causes.h"
#include "sim/diagnose/causes/suspect.h"
#include "sim/diagnose/finding.h"

namespace qsim::diagnose {

// What both are of: the subject's operation, and the same derived anew.
struct Remaking {
  const DiagnosisSubject& subject;
  const Bundle& remade;
  const Rederivation& rederivation;
  const std::string& tensor;  // the operation's output
  const Op& op;
  const Op& good;
};

// What the channels of an operation's output are: heads of attention, columns of a stacked layer.
Places ChannelsOf(const network::Network& model, const std::string& tensor);

// A list of multipliers, one for each channel, that is not the one wanted.
Story ExplainRatioList(const Remaking& of, std::size_t list, const std::string& what);
// Two lists that are each other's; nothing where they are not.
std::optional<Story> ExplainExchange(const Remaking& of, const std::vector<std::string>& operands);
// Addends, coefficients and constants that differ; nothing where none does.
std::optional<Story> ExplainConstants(const Remaking& of);

}  // namespace qsim::diagnose
