// The state of an observer as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/calibrate/observe/observer.h"

namespace qsim::calibrate {

nlohmann::json StateToJson(const ObserverState& state);

// Throws nlohmann::json::exception or InputError for anything that StateToJson does not write.
ObserverState StateFromJson(const nlohmann::json& json);

}  // namespace qsim::calibrate
