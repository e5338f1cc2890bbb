// A bundle whose files are compared with what qsim wrote before anything is done with it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/io/files/result_list.h"

namespace qsim::bundle {

enum class Edits : std::uint8_t { kRefuse, kTake };

// Throws InputError that names what has changed or is missing.
void RequireUnchanged(const std::filesystem::path& directory, const ResultChanges& changes);

// LoadBundle, and beside it the comparison of every file with its hash. Throws InputError as that,
// and for files that have changed or are missing where edits are refused; where they are taken,
// `notes` names them. It also says of an older qsim's bundle that it has no hashes.
Bundle OpenBundle(const std::filesystem::path& directory, Edits edits,
                  std::vector<std::string>& notes);

bool IsBundle(const std::filesystem::path& directory);

// Accepts the files of a bundle, or of another result, as they are: lists them anew.
void Seal(const std::filesystem::path& directory);

}  // namespace qsim::bundle
