#include "sim/cosim/unit_factories.h"

#include <algorithm>
#include <string>
#include <vector>

#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"

namespace qsim::cosim {
namespace {

const LanesFactory& FindLanes(int lanes) {
  for (const LanesFactory& factory : LanesFactories()) {
    if (factory.lanes == lanes) return factory;
  }
  throw InternalError("no requantizer of " + std::to_string(lanes) + " lanes in this build");
}

}  // namespace

std::vector<ArrayShape> BuiltArrays() {
  std::vector<ArrayShape> shapes;
  for (const ArrayFactory& factory : ArrayFactories()) shapes.push_back(factory.shape);
  std::sort(shapes.begin(), shapes.end());
  return shapes;
}

std::unique_ptr<MacArrayUnit> MakeMacArrayUnit(ArrayShape shape, Checks checks,
                                               const TracePath& trace) {
  for (const ArrayFactory& factory : ArrayFactories()) {
    if (factory.shape == shape) return factory.make(checks, trace);
  }
  throw InternalError("no " + ToString(shape) + " array in this build");
}

std::unique_ptr<RequantizeUnit> MakeRequantizeUnit(int lanes, const TracePath& trace) {
  return FindLanes(lanes).make_requantize(trace);
}

std::unique_ptr<ResidualAddUnit> MakeResidualAddUnit(int lanes, const TracePath& trace) {
  return FindLanes(lanes).make_residual_add(trace);
}

}  // namespace qsim::cosim
