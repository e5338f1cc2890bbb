// Explains the differences between two directories of a bundle's tensors. docs/explain.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/explain/explanation.h"

namespace qsim::explain {

struct DirectoryExplanation {
  std::vector<Explanation> taps;       // those with differences of their own, in program order
  std::vector<std::string> followers;  // names of taps that differ only because their inputs do
  std::vector<std::string> notes;      // taps that are missing on one side, that cannot be judged
  std::int64_t compared = 0;           // taps present on both sides
  std::int64_t differing = 0;          // among them
};

// `a` holds the golden tensors, `b` another implementation's, as .npy or .memh named after the
// tensors, image axis in front: `run --output` writes such directories. Every operation is judged
// on the inputs that it really had: those of b where b holds them, else those of a. `tap`, if not
// empty, is the only one looked at. Throws InputError for a file that is unreadable or of a wrong
// shape, a golden tensor that the bundle does not give, an unknown tap, and when there is nothing
// to compare.
DirectoryExplanation ExplainDirectories(const std::filesystem::path& a,
                                        const std::filesystem::path& b, const Bundle& bundle,
                                        const std::string& tap, int threads = 1);

}  // namespace qsim::explain
