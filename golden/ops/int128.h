// 128-bit integer, for the few products that need more than 64 bits. GCC and clang both have it;
// the
// __extension__ keeps -Wpedantic quiet.
#pragma once

namespace qsim::golden {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

}  // namespace qsim::golden
