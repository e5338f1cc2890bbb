// Printers of the export table, one per format. docs/outputs.md, "Exports".
#pragma once

#include <string>

#include "sim/bundle/parameter_table.h"
#include "sim/io/files/output_directory.h"

namespace qsim::exporting {

std::string ExportJson(const ExportTable& table);  // the complete tree
std::string ExportYaml(const ExportTable& table);  // the same tree
std::string ExportCsv(const ExportTable& table);   // operation,kind,parameter,channel,value
std::string ExportSvh(const ExportTable& table);   // localparams; verilator -Wall and yosys read it
std::string ExportC(const ExportTable& table);     // C99 and C++ header

// One $readmemh file per integer parameter and per constant (weights too), each with its sidecar.
// Commits. Throws InputError.
void ExportMemh(const ExportTable& table, const Bundle& bundle, OutputDirectory& output);

}  // namespace qsim::exporting
