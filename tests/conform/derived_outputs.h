// The outputs of a conformance case by qsim's second derivation: derivation/ and nothing of golden/
// but the names of its parameters.
#pragma once

#include <gmpxx.h>

#include <string>
#include <vector>

#include "sim/conform/conform_case.h"
#include "tests/namespaces.h"

namespace qsim::testing {

// Every output that the case's algorithm defines, intermediates included.
CaseTensors DerivedOutputs(const ConformCase& c);

// ---- what the families share ----

struct Integers {
  Shape shape;
  std::vector<mpz_class> values;
};

Integers ReadIntegers(const ConformCase& c, const std::string& name);
// In the narrowest type that holds them.
IntTensor ToTensor(const Integers& integers);

// op attention
CaseTensors DerivedAttention(const ConformCase& c);

}  // namespace qsim::testing
