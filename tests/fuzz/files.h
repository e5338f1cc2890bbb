// Directories as one input: a file is a line "-- NAME --" and the bytes up to the next such line.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tests/namespaces.h"

namespace qsim::testing {

using Files = std::map<std::string, std::string>;  // bytes by relative path

std::string Joined(const Files& files);
// Names are kept inside a directory: others are left out.
Files Split(std::string_view input);

// The regular files below a directory, up to so many bytes each.
Files FilesIn(const std::filesystem::path& directory, std::size_t most_bytes = 1 << 16);

// The scratch directory of this process (below TMPDIR), with these files and nothing else.
std::filesystem::path Written(const Files& files);
// One file of this name in it.
std::filesystem::path Written(const std::string& name, std::string_view bytes);

std::string BytesOfFile(const std::filesystem::path& path);

}  // namespace qsim::testing
