// The inputs of a manifest's section, read in pieces: what memory they take does not depend on
// their number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/inputs/manifest.h"
#include "sim/io/tensors/npy.h"

namespace qsim::inputs {

// Lengths, in tokens, of token inputs.
struct LengthSummary {
  std::int64_t used = 0;
  std::int64_t skipped = 0;  // shorter than the least length
  std::int64_t least_length = 0;
  std::int64_t min = 0, max = 0;  // of those that are used
  double mean = 0;
};
// "calibration inputs: 120 used, 8 skipped (shorter than 16 tokens); length min 16, mean 40.5, max
// 65".
std::string Format(const LengthSummary& lengths, std::string_view section);

class InputReader {
 public:
  // Checks the files of a section against the manifest's geometry, headers and labels, but no
  // pixels, embeddings or ids yet. Calibration inputs that are a list of files may have any length,
  // token ids always; those below `least_length` are left out. Throws InputError as LoadInputs, and
  // when no input is left.
  InputReader(const Manifest& manifest, const InputSpec& spec, InputUse use,
              std::int64_t least_length = 0);

  std::int64_t count() const { return count_; }
  // One for each input, or none.
  const std::vector<std::int64_t>& labels() const { return labels_; }
  // What an input is called: its file, or its number.
  std::string NameOf(std::int64_t index) const;
  // Absent for images.
  const std::optional<LengthSummary>& lengths() const { return lengths_; }

  // How many inputs from `first` on, at most `most`, have the same length: what one Read takes.
  std::int64_t EqualRun(std::int64_t first, std::int64_t most) const;

  // The inputs [first, first + count) and their labels; embeddings all of one length. May be called
  // from several threads at once. Throws InputError: NaN or Inf in embeddings (with file, sample,
  // token and channel), an id outside the vocabulary (with file and index), a file that cannot be
  // read.
  ModelInputs Read(std::int64_t first, std::int64_t count) const;

 private:
  void CheckImages(const Geometry& geometry);
  void CheckTokens(const Geometry& geometry, InputUse use, std::int64_t least_length);
  FloatTensor ReadEmbeddings(std::int64_t first, std::int64_t count) const;
  TokenInputs ReadIds(std::int64_t first, std::int64_t count) const;
  const std::filesystem::path& FileOf(std::int64_t index) const;
  void ReadLabels(const std::optional<std::int64_t>& classes);

  InputSpec spec_;
  std::optional<NpyReader> file_;  // absent for a list of files
  std::int64_t count_ = 0;
  std::int64_t vocabulary_ = 0;            // of token ids; 0: embeddings or images
  std::vector<std::int64_t> kept_;         // a list of files: which of them are used
  std::vector<std::int64_t> file_length_;  // and how long each of those is
  std::optional<LengthSummary> lengths_;
  std::vector<std::int64_t> labels_;
};

}  // namespace qsim::inputs
