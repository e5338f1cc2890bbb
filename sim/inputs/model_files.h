// What libraries keep beside the weights: config.json (of Hugging Face's transformers, or of timm)
// and preprocessor_config.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/inputs/manifest.h"

namespace qsim::inputs {

struct ModelFiles {
  Geometry geometry;
  std::map<std::string, std::filesystem::path>
      origin;                        // of each key of the geometry, and of these:
  std::vector<double> mean, stddev;  // on a 0..1 scale; empty: not stated
  ImageResize resize;                // its origin: "resize"
  std::string name;                  // of the model; may be empty
  bool found = false;                // any of the files

  // Reads `config`, if that is a path, and what a directory has beside it. Of a language model's
  // configuration nothing is taken: its family reads that itself. Throws InputError: JSON that is
  // none, values of another type, and settings that compute something else than a vision
  // transformer does.
  static ModelFiles Read(const std::filesystem::path& config,
                         const std::filesystem::path& directory);
};

}  // namespace qsim::inputs
