// Runs every external case of one algorithm through qsim, for the tests of the families.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sim/conform/algorithms.h"
#include "sim/conform/conform_run.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

// The folders of SharedDir()/conformance/<op>/<algorithm>; empty where there is no such data.
inline std::vector<std::filesystem::path> CaseDirs(std::string_view op,
                                                   std::string_view algorithm) {
  const std::optional<std::filesystem::path> shared = SharedDir();
  if (!shared) return {};
  const std::filesystem::path root = *shared / "conformance" / op / algorithm;
  if (!std::filesystem::is_directory(root)) return {};
  return FindConformCases(root);
}

// Expects every output element of every case to equal the golden operation's. Skips the test where
// there is no data.
inline void ExpectCasesConform(std::string_view op, std::string_view algorithm) {
  const std::vector<std::filesystem::path> dirs = CaseDirs(op, algorithm);
  if (dirs.empty()) GTEST_SKIP() << "no conformance data";
  const ConformAlgorithm* entry = FindConformAlgorithm(op, algorithm);
  ASSERT_NE(entry, nullptr) << op << "/" << algorithm << " is not supported";
  for (const std::filesystem::path& dir : dirs) {
    const ConformCase c = ConformCase::Load(dir);
    const ConformCount count = CompareOutputs(c, entry->golden(c));
    EXPECT_EQ(count.mismatches, 0) << count.first_mismatch;
    EXPECT_GT(count.elements, 0) << dir;
  }
}

}  // namespace qsim::testing
