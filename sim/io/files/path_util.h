// Helpers of the two kinds of atomic output.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qsim::io {

// The absolute path with symbolic links resolved and no trailing slash, so that a rename replaces
// the thing itself and not a link to it. Throws InputError when it cannot be resolved.
std::filesystem::path ResolveOutputPath(const std::filesystem::path& path);

struct DirectoryEntry {
  std::string name;
  bool directory = false;  // itself: links are not followed
};
// What a directory holds. Not std::filesystem's iterators, which end the process where memory is
// short. Throws InputError.
std::vector<DirectoryEntry> EntriesOf(const std::filesystem::path& directory);

// Throws InputError where what is to be replaced belongs to another user.
void RequireOwn(const std::filesystem::path& path, const std::filesystem::path& target);

// Throws InputError where an output is one of the inputs, of which some may be empty.
void RequireApart(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs);

// Names the path as the user did (UserPath).
[[noreturn]] void ThrowOutputError(const std::filesystem::path& path, std::string_view what,
                                   int error);

}  // namespace qsim::io
