// A table beside the function that it stands for: one of another function, or for another scale.
#pragma once

#include <optional>

#include "sim/diagnose/causes/constant_causes.h"

namespace qsim::diagnose {

struct TableStory {
  Story story;
  std::optional<double> factor;  // where its outputs are those of another scale, and nothing else
};
// Nothing where the two have no tables, or the same.
std::optional<TableStory> ExplainTable(const Remaking& of);

}  // namespace qsim::diagnose
