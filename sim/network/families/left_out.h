// The tensors of a checkpoint with which a network does not compute: none is left out in silence.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/inputs/manifest.h"
#include "sim/network/families/checkpoint.h"

namespace qsim::network {

// Why a tensor does nothing in this network; nothing where that is not known.
using WhyUnread =
    std::function<std::optional<std::string_view>(std::string_view stored, std::string_view ours)>;

// Of the tensors that are not in `read` (our names): checked for NaN and Inf all the same. Each
// must be known to do nothing; a line for each reason says which are left out and why. Throws
// InputError naming the others (`family`: "a vision transformer"), and for a pattern of
// ignore_tensors that matches none, or one that is not known to do nothing.
std::vector<std::string> LeftOut(const Checkpoint& checkpoint, const Manifest& manifest,
                                 const std::set<std::string>& read, const WhyUnread& why,
                                 std::string_view family);

// Whether a pattern of ignore_tensors matches a stored name.
bool IsIgnored(const Manifest& manifest, std::string_view stored);

// "tensor 'a'", "tensors 'a', 'b', 'c' and 9 more"
std::string Counted(const std::vector<std::string>& names);

}  // namespace qsim::network
