// Text from files, made safe for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace qsim::text {

// Control characters and bytes that are not UTF-8 text become \xNN; more than 80 characters are cut
// to "...".
std::string Printable(std::string_view text);

}  // namespace qsim::text
