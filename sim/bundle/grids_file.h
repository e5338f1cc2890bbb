// Grids of activations and weights as a text that `export --format grids` writes and
// `calibrate --grids` reads. docs/formats.md, "Grids".
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"

namespace qsim::bundle {

// One tensor's, in the words of the file: as many entries as it states.
struct FileGrid {
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
  std::vector<double> factor;              // of a rewrite; scale times this is the tensor's own
  std::optional<WeightRounding> rounding;  // of weights; absent: not stated
  int line = 0;
};

struct GridsFile {
  std::string file;  // for messages
  std::map<std::string, FileGrid> grids;
};

// Every grid that is not another's consequence or fixed by an algorithm.
std::string GridsText(const Bundle& bundle);
// Throws InputError naming file, line and tensor: an unknown key, no number, a scale that is not
// positive, a zero point outside the range.
GridsFile ReadGrids(const std::filesystem::path& path);

// The smallest signed type that holds the codes of a layer's weights.
QuantRange RangeOfCodes(const IntTensor& weights);

}  // namespace qsim::bundle
