// A program bundle: everything the golden and the RTL executor need, and the real scales beside it.
// docs/formats.md, "Program bundle".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "golden/program/program.h"
#include "sim/bundle/grid.h"
#include "sim/config/contract.h"
#include "sim/io/files/output_directory.h"

namespace qsim::bundle {

// One line of what the lowering decided: a default taken, a substitution under --realise nearest, a
// scale raised for a dead channel, a double rounding. Reported, never silent.
struct LoweringNote {
  enum class Kind : std::uint8_t { kInfo, kSubstitution, kRaisedScale };
  Kind kind = Kind::kInfo;
  std::string tensor;
  std::string text;
  bool operator==(const LoweringNote&) const = default;
};
constexpr auto NamesOf(LoweringNote::Kind /*enum*/) {
  return std::to_array<NamedValue<LoweringNote::Kind>>({
      {LoweringNote::Kind::kInfo, "info"},
      {LoweringNote::Kind::kSubstitution, "substitution"},
      {LoweringNote::Kind::kRaisedScale, "raised_scale"},
  });
}

struct HardwareParams {
  int array_rows = 16;
  int array_cols = 16;
  int multiplier_bits = 16;
  bool power_of_two = false;
  bool operator==(const HardwareParams&) const = default;
};

// Where the bundle came from; hashes are SHA-256 in hex.
struct Provenance {
  std::string qsim_version;
  std::string config_hash;
  std::string weights_hash;
  std::string contract;       // its name and version: "tflite-double 1"
  std::string contract_hash;  // of the numerics contracts: ModelContracts::Hash
  bool operator==(const Provenance&) const = default;
};

struct Bundle {
  Program program;
  std::map<std::string, TensorScale> scales;  // by tensor or weight-constant name
  std::map<std::string, IntTensor> inputs;    // program inputs by name, image axis in front
  // Of inputs with a run-time length: how much of each counts; empty: all of it.
  std::vector<std::int64_t> lengths = {};
  HardwareParams hardware;
  Provenance provenance;
  ModelContracts contracts;  // contract.yaml
  std::vector<LoweringNote> notes;
  std::int64_t images() const { return inputs.empty() ? 0 : inputs.begin()->second.shape().at(0); }
  // Of a tensor of the program; the bundle must outlive it.
  Grid GridOf(const std::string& tensor) const {
    return {program.Tensor(tensor), scales.at(tensor), contracts.model.numerics.quantize};
  }
};

// Of one of its inputs, in tokens; 0: the program has no run-time length.
std::int64_t LengthOf(const Bundle& bundle, std::int64_t index);

// Writes and commits the directory; the same bundle gives the same bytes. Throws InputError.
void SaveBundle(const Bundle& bundle, OutputDirectory& output);

// Of all that a bundle computes with: its program, constants and scales, without its inputs and
// notes, which name files.
std::string HashOf(const Bundle& bundle);

// Reads the values of one program input, image axis in front; a run-time length may be any. Throws
// InputError naming the file: another type or shape, no images, or a value outside the input's
// range (with its index).
IntTensor ReadProgramInput(const std::filesystem::path& file, const TensorInfo& info);
IntTensor ReadProgramInput(InputFile input, const TensorInfo& info);

// Throws InputError naming `file` and the largest tensor where those of the program take more bytes
// together; a run-time length counts once.
void CheckProgramSize(const Program& program, std::uint64_t most, const std::string& file);

// Reads and validates a bundle: program, constants, scales and inputs. Throws InputError with file
// and key.
Bundle LoadBundle(const std::filesystem::path& directory);

}  // namespace qsim::bundle
