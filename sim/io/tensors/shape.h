// Shapes as people read them, and element counts that cannot overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::io {

// "[3, 4]"; a scalar is "[]".
std::string FormatShape(const Shape& shape);

// The index of a row-major element: element 5 of [3, 4] is "[1, 1]".
std::string FormatIndex(const Shape& shape, std::int64_t element);

// The product of the dimensions, or nullopt when one is negative or the product of those above 0
// leaves int64: the product of a few of them would too, though a zero makes that of all zero.
std::optional<std::int64_t> CheckedElementCount(const Shape& shape);

}  // namespace qsim::io
