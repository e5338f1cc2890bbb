// What tests may name: everything.
#pragma once

#include "sim/namespaces.h"

namespace qsim {

namespace testing {
using namespace cli;
using namespace derivation;
}

}  // namespace qsim
