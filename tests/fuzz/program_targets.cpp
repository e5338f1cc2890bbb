// Random programs on every executor.
#include <fmt/format.h>

#include <unistd.h>

#include <random>
#include <stdexcept>

#include "tests/fuzz/files.h"
#include "tests/fuzz/random_program.h"
#include "tests/fuzz/target.h"

namespace qsim::testing {
namespace {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  std::mt19937_64 engine(1);
  for (int i = 0; i < 200; ++i) {
    std::string bytes;
    for (int k = 0; k < 8 + i; ++k) bytes += static_cast<char>(engine());
    seeds.push_back(std::move(bytes));
  }
  return seeds;
}

void Run(std::string_view input) {
  const Case c = DrawCase(DrawFrom(input));
  const std::string difference = DifferenceIn(c, AllExecutors());
  if (difference.empty()) return;
  const Case small = Shrunk(c, AllExecutors());
  const std::string bundle = fmt::format("program-{}", ::getpid());
  SaveCase(small, bundle);
  throw std::logic_error(
      fmt::format("{}; of {} operations {} are left in the bundle {}: fuzz "
                  "program {}",
                  DifferenceIn(small, AllExecutors()), c.program.ops.size(),
                  small.program.ops.size(), bundle, bundle));
}

}  // namespace

std::vector<Target> ProgramTargets() {
  return {{"program", "random programs on every executor",
           "golden/ops golden/program golden/kernels", Seeds, Run}};
}

}  // namespace qsim::testing
