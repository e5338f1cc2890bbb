// What a tensor gets when no configuration says anything. docs/formats.md has the same table.
#pragma once

#include "sim/config/section.h"
#include "sim/config/tensor_role.h"

namespace qsim {

Section DefaultSection(TensorRole role);

}  // namespace qsim
