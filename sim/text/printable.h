// Text from files and paths, made safe for one line of a message or a report.
#pragma once

#include <string>
#include <string_view>

namespace qsim::text {

// Control characters and bytes that are not UTF-8 text become \xNN; more than 80 characters are cut
// to "...".
std::string Printable(std::string_view text);

// The same, however long it is.
std::string Escaped(std::string_view text);

// "note: TEXT" and a line's end; the text is escaped.
std::string NoteLine(std::string_view text);

}  // namespace qsim::text
