// Which layers a scope holds: one that has a section of its own but is in no program would never be
// calibrated, and nobody would notice.
#pragma once

#include <string>
#include <vector>

#include "golden/program/program.h"
#include "sim/config/config.h"
#include "sim/config/scope.h"
#include "sim/network/network.h"

namespace qsim::calibrate {

// The smallest scope that covers every section of its own; a W8A8 family covers the whole model, or
// its blocks where it has no head.
Scope SmallestScope(const Config& config, bool has_head);

// Throws InputError naming every section (with file and line) of a layer that the scope leaves out,
// and the scope that would cover them all. Sections of the stream that enters
// blocks shape what blocks read, so no scope leaves them out; `some_blocks`: what lies outside the
// blocks is left out on purpose.
void RequireCovered(const Config& config, Scope scope, bool some_blocks,
                    const network::Network& network);

// "KEY (FILE:20)", ... : sections whose tensor the program does not have, because it was cut.
std::vector<std::string> SectionsWithoutTensor(const Config& config, const Program& program,
                                               const network::Network& network);
// The same of layers that other networks of the family have, and this one does not.
std::vector<std::string> SectionsOfOtherNetworks(const Config& config,
                                                 const network::Network& network);

// Throws InputError naming every layer of the scope that the program lacks; `source` is the file
// that it came from.
void RequireScope(const Program& program, Scope scope, const std::string& source,
                  const Sections& sections);

}  // namespace qsim::calibrate
