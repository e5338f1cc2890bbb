// The instruction sets that the kernels were compiled for. Results are the same bytes on all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qsim::golden::kernels {

// Those that this machine can run, best first: some of avx512_vnni, avx512, avx2, sse4, neon and
// portable, which every machine can.
std::vector<std::string_view> InstructionSets();

// The one that runs.
std::string_view InstructionSet();

// Which one runs from now on, in the whole process; none of InstructionSets(): throws
// std::invalid_argument. What has been packed for another one (FastBackend) must not be used any
// more.
void UseInstructionSet(std::string_view name);

}  // namespace qsim::golden::kernels
