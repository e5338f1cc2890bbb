// The generated factories: one function per built array size and per number of lanes, and the
// tables that list them. sim/cosim/CMakeLists.txt generates array_instance, lanes_instance and
// unit_tables.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "sim/cosim/lanes_unit.h"
#include "sim/cosim/mac_array_unit.h"

namespace qsim::cosim {

using TracePath = std::optional<std::filesystem::path>;

struct ArrayFactory {
  ArrayShape shape;
  std::unique_ptr<MacArrayUnit> (*make)(Checks checks, const TracePath& trace);
};

struct LanesFactory {
  int lanes;
  std::unique_ptr<RequantizeUnit> (*make_requantize)(const TracePath& trace);
  std::unique_ptr<ResidualAddUnit> (*make_residual_add)(const TracePath& trace);
};

std::span<const ArrayFactory> ArrayFactories();
std::span<const LanesFactory> LanesFactories();

}  // namespace qsim::cosim
