// Numerics contracts: a scheme for every operation at once, named, versioned and hashed, so that
// two parties can say which arithmetic they mean. docs/numerics.md section 11.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/section.h"
#include "sim/io/files/input_file.h"

namespace qsim::config {

struct NumericsContract {
  std::string name = "default";
  int version = 1;
  std::string source = "qsim";
  Numerics numerics;
  RequantMode scales = RequantMode::kMultiplier;
  // Operations that the source does not define, and that take the default: "layernorm", ...
  std::vector<std::string> defaulted;

  struct Choice {
    std::string operation, scheme;
  };
  // Every operation's choice, in a fixed order. `last_steps`, the rounding of layer norms and GELUs
  // beside a published requantize scheme, only where it is not half_up; `layernorm_eps` only where
  // it is not `ignore`, which every file meant before there was a choice.
  std::vector<Choice> Operations() const;

  // The choices alone, one operation a line in a fixed order: what the hash is of. Two contracts
  // with other names and the same arithmetic have the same text.
  std::string Choices() const;
  std::string Hash() const;  // SHA-256 of Choices() and the version of numerics.md, in hex
};

// The contract of everything that a configuration describes: the model's, and those of blocks with
// other choices.
struct ModelContracts {
  NumericsContract model;
  std::map<int, NumericsContract> blocks;

  // "tflite-double 1"; with blocks that differ: "tflite-double 1 (block 3: default 1)".
  std::string Label() const;
  // The model contract's hash; with blocks, that of all of them.
  std::string Hash() const;
};

// One choice that differs between two sets of contracts: "blocks.3.softmax", "ibert_rn", "tflite".
struct ContractDifference {
  std::string field, a, b;
};
std::vector<ContractDifference> CompareContracts(const ModelContracts& a, const ModelContracts& b);

// The file of a bundle and of a run, contract.yaml: the format of configs/contracts/, with the
// hash, the defaulted operations and the blocks. Without blocks it can be named in a configuration.
inline constexpr std::string_view kContractFile = "contract.yaml";
std::string ContractsYaml(const ModelContracts& contracts);
ModelContracts ReadContractsYaml(const std::filesystem::path& path);
ModelContracts ReadContractsYaml(const InputFile& file);

// The contracts that come with qsim (configs/contracts/), sorted by name.
const std::vector<std::string>& BuiltinContracts();

// A name of BuiltinContracts(), or the path of a contract file (it has a '/' or ends in .yaml).
// Throws InputError: an unknown name (suggesting one), an unreadable file, an unknown key or
// scheme.
NumericsContract LoadContract(std::string_view name_or_path);

}  // namespace qsim::config
