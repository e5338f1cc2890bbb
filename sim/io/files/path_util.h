// Helpers of the two kinds of atomic output.
#pragma once

#include <filesystem>
#include <string_view>

namespace qsim::io {

// The absolute path with symbolic links resolved and no trailing slash, so that a rename replaces
// the thing itself and not a link to it. Throws InputError when it cannot be resolved.
std::filesystem::path ResolveOutputPath(const std::filesystem::path& path);

// ".NAME.tmp-PID-N" beside `target`: unused by any other process and by this one so far.
std::filesystem::path TemporarySibling(const std::filesystem::path& target);

[[noreturn]] void ThrowOutputError(const std::filesystem::path& path, std::string_view what,
                                   int error);

}  // namespace qsim::io
