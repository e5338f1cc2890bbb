// The values a YAML scalar may stand for, without YAML's surprises: no octal, no yes/no, no text
// that happens to look like a number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/io/yaml/yaml_document.h"
#include "sim/namespaces.h"

namespace qsim::io {

// Numbers are ParseNumber's (sim/text/number.h), and not quoted.
std::optional<std::int64_t> AsInteger(const YamlNode& node);
std::optional<double> AsReal(const YamlNode& node);
// True, true, False, false; not quoted.
std::optional<bool> AsBoolean(const YamlNode& node);
// Any scalar.
std::optional<std::string> AsText(const YamlNode& node);

}  // namespace qsim::io
