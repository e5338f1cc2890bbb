// Runs a folder of conformance cases through the golden operations and, where it exists, the RTL.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/backend.h"
#include "sim/conform/conform_case.h"

namespace qsim::conform {

// Outputs of cases against what an executor computed.
struct ConformCount {
  std::int64_t cases = 0;
  std::int64_t elements = 0;
  std::int64_t mismatches = 0;
  std::string first_mismatch;  // "requant/ita/ties y[3]: 5, expected 4"; empty without mismatches

  ConformCount& operator+=(const ConformCount& other);
};

// One algorithm of a family.
struct ConformRow {
  std::string op;
  std::string algorithm;
  bool supported = true;
  std::int64_t cases = 0;  // found, whether supported or not
  ConformCount golden;
  ConformCount rtl;
  bool has_rtl = false;  // some RTL implements it
};

struct ConformReport {
  std::filesystem::path root;
  std::vector<ConformRow> rows;     // sorted by op and algorithm
  std::vector<std::string> errors;  // one line for each case that could not be run
  bool rtl_used = false;

  ConformRow Total() const;
};

// Every folder with a case.json at or below `root`, sorted.
// Throws InputError when there is none, or `root` is not a directory.
std::vector<std::filesystem::path> FindConformCases(const std::filesystem::path& root);

// `rtl` null: golden only. `only` keeps one op ("softmax") or one algorithm ("softmax/ibert"); an
// InputError names the valid ones when nothing is left.
ConformReport RunConform(const std::filesystem::path& root, const std::string& only, Backend* rtl);

// The case's outputs against the computed ones. Integers must be equal, shapes too; float scales
// agree to 1e-12 relative. Throws InputError for an output that the algorithm does not compute.
ConformCount CompareOutputs(const ConformCase& c, const CaseTensors& computed);

}  // namespace qsim::conform
