// A program as equations: what `qsim describe` prints.
#pragma once

#include <string>

#include "sim/bundle/bundle.h"

namespace qsim::exporting {

// One entry for each operation, in the program's order: output and inputs with type, shape and
// range, the equation in integers with every parameter's value or range, and the section of
// docs/numerics.md. Plain text of at most 80 columns (names excepted), valid as Markdown.
// `only` keeps the operations whose output has that name, or that prefix followed by a dot; empty
// keeps all. Throws InputError, suggesting a name, when nothing is left.
std::string DescribeProgram(const Bundle& bundle, const std::string& only);

}  // namespace qsim::exporting
