// The inputs of a manifest's section, read in pieces: what memory they take does not depend on
// their number.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/io/manifest.h"
#include "sim/io/npy.h"

namespace qsim {

class InputReader {
 public:
  // Checks the files of a section against the manifest's geometry, headers and labels, but no
  // pixels or embeddings yet. Throws InputError as LoadInputs.
  InputReader(const Manifest& manifest, const InputSpec& spec);

  std::int64_t count() const { return count_; }
  // One for each input, or none.
  const std::vector<std::int64_t>& labels() const { return labels_; }

  // The inputs [first, first + count) and their labels. May be called from several threads at
  // once. Throws InputError: NaN or Inf in embeddings, a file that cannot be read.
  ModelInputs Read(std::int64_t first, std::int64_t count) const;

 private:
  void CheckImages(const Geometry& geometry);
  void CheckTokens(const Geometry& geometry);
  void ReadLabels(const std::optional<std::int64_t>& classes);

  InputSpec spec_;
  std::optional<NpyReader> file_;  // absent for a list of files
  std::int64_t count_ = 0;
  std::vector<std::int64_t> labels_;
};

}  // namespace qsim
