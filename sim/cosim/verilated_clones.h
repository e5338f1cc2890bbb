// Included first in the code that a fast model runs at every clock edge: such a function is
// compiled for the baseline machine and once more with wider vectors, and the loader picks the one
// that the machine can run. Nothing else in the file is compiled for more than the baseline.
#pragma once

#include <cstdlib>  // __GLIBC__

// Clang 14 gives such a function a name that callers in other files do not know.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define VL_INLINE_OPT __attribute__((target_clones("avx2", "default")))
#endif
