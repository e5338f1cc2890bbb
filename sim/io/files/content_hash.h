// A text that carries the SHA-256 of its own content, for results that are one file: the 64 digits
// behind the first "content_sha256", of the text with those digits as zeros. docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qsim::io {

inline constexpr std::string_view kContentHash = "content_sha256";

// What stands for the digits until the whole text is known.
std::string NoHashYet();

// The same text with its hash. A text without a place for one is a defect.
std::string WithContentHash(std::string text);

enum class Content : std::uint8_t { kWithoutHash, kAsWritten, kChanged };
Content CheckContent(const std::string& text);

}  // namespace qsim::io
