// The vectors directory that --input names: manifest.yaml and the files it points to, and what
// libraries keep beside the weights (model_files.h).
// docs/formats.md, "Vectors directory".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/io/images/resize.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::inputs {

// Blocks of a network, whatever says how many.
inline constexpr std::int64_t kMostLayers = 9999;

// What the manifest says about the model. Whatever the weights can tell may be left out.
struct Geometry {
  std::optional<std::int64_t> image;     // pixels per side
  std::optional<std::int64_t> channels;  // of the image
  std::optional<std::int64_t> patch;     // pixels per side
  std::optional<std::int64_t> dim;
  std::optional<std::int64_t> heads;
  std::optional<std::int64_t> tokens;  // class token included
  std::optional<std::int64_t> depth;
  std::optional<std::int64_t> mlp_hidden;  // 4 * dim when nothing says otherwise
  std::optional<std::int64_t> classes;
  // Of token ids: 0..vocabulary - 1. No key of the manifest: the network's table says it.
  std::optional<std::int64_t> vocabulary;
  std::optional<double> eps;              // of the layer norms
  std::optional<std::string> activation;  // of the MLP: "gelu", "quick_gelu", ...
  std::optional<std::string> pool;        // what the head reads: "token", "avg"
};

// How images of any size become the model's, where the files beside the weights say it.
struct ImageResize {
  // The shorter side before the centre crop, over the side of the crop; 0: not stated.
  double edge = 0;
  std::optional<ResizeFilter> filter;
};

// One `calibration:` or `evaluation:` section.
struct InputSpec {
  std::string name;  // "calibration" or "evaluation"
  std::optional<std::filesystem::path> images;
  // One file of [N, T, D], or several of [T, D]; of token ids, [N, T] and [T].
  std::vector<std::filesystem::path> tokens;
  bool token_list = false;     // `tokens:` is a list, or a directory of files
  std::vector<double> mean;    // per image channel, on a 0..1 scale; empty for tokens
  std::vector<double> stddev;  // `std:`
  std::optional<std::filesystem::path> labels;
  std::string origin;  // "dir/manifest.yaml:12"
};

// A name, with * and ?, of tensors that may stay unused.
struct IgnoredTensors {
  std::string pattern;
  int line = 0;
};

struct Manifest {
  std::filesystem::path path;   // of manifest.yaml
  std::string name;             // of the model; the directory's where the file gives none
  std::filesystem::path model;  // the safetensors file
  // The model's config.json, as the manifest names it, else beside the weights; empty: there is
  // none.
  std::filesystem::path config;
  std::vector<IgnoredTensors> ignore_tensors;
  Geometry geometry;
  // Where what manifest.yaml does not say comes from, by its key.
  std::map<std::string, std::filesystem::path> origin;
  ImageResize resize;
  std::vector<std::string> notes;  // what is legal and hardly meant: one line each
  std::optional<InputSpec> calibration;
  std::optional<InputSpec> evaluation;

  // The section, or an InputError that says it is missing.
  const InputSpec& Calibration() const;
  const InputSpec& Evaluation() const;
  // The file that states a value of the geometry.
  std::string Origin(const std::string& key) const;

  // Reads directory/manifest.yaml; paths in it are relative to the directory. Of what it leaves
  // out, config.json and preprocessor_config.json beside the weights give geometry, mean and std;
  // with config.json there need be no manifest: then weights and inputs have the names of the
  // shipped ones. Throws InputError with file:line: unknown keys, wrong types, contradictory
  // geometry (heads that do not divide dim, a patch that does not divide the image, fewer tokens
  // than patches), and other numbers than those of the files beside the weights.
  static Manifest Load(const std::filesystem::path& directory);
};

// Pixels p stand for (p / 255 - mean[c]) / std[c].
struct ImageInputs {
  IntTensor pixels;            // uint8 [N, C, H, W]
  std::vector<double> mean;    // C values
  std::vector<double> stddev;  // C values, > 0
};

// Sequences of token ids, which may differ in length.
struct TokenInputs {
  IntTensor ids;                           // int32 [N, T]
  std::vector<std::int64_t> lengths = {};  // how much of each row counts; empty: all of it
  // One of them: int32 [its length].
  IntTensor Sequence(std::int64_t index) const;
};

struct ModelInputs {
  // FloatTensor: token embeddings [N, T, D].
  std::variant<ImageInputs, FloatTensor, TokenInputs> data;
  std::vector<FloatTensor> more = {};     // further inputs of the network: [N, T', D'] each
  std::vector<std::int64_t> labels = {};  // N values, or empty
  std::int64_t count() const;             // N
  // All embeddings, in the order of the network's inputs.
  std::vector<const FloatTensor*> Sequences() const;
};

enum class InputUse : std::uint8_t { kCalibration, kEvaluation };

// Loads and checks the files of a section against the manifest's geometry. Throws InputError:
// missing file, zero samples, wrong dtype, rank or size, NaN or Inf, ids outside the vocabulary,
// std <= 0, labels of another length or outside the classes; for calibration also inputs that are
// all one value. Token inputs below `least_length` are left out (InputReader).
ModelInputs LoadInputs(const Manifest& manifest, const InputSpec& spec, InputUse use,
                       std::int64_t least_length = 0);

}  // namespace qsim::inputs
