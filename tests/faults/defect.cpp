// qsim with a selftest that breaks as QSIM_DEFECT says, put in its place by the linker.
#include <cstdlib>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/cli/selftest_command.h"
#include "sim/error.h"

extern "C" int __wrap__ZN4qsim3cli11RunSelftestERKNS0_15SelftestOptionsE(
    const qsim::cli::SelftestOptions& /*options*/) {
  const std::string defect = std::getenv("QSIM_DEFECT");
  if (defect == "invariant") throw qsim::InternalError("a tensor that nobody made");
  if (defect == "logic") throw std::logic_error("two\nlines");
  if (defect == "range") return std::vector<int>().at(3);
  if (defect == "map") throw std::out_of_range("map::at");
  if (defect == "runtime") throw std::runtime_error("not an error of input");
  if (defect == "memory") throw std::bad_alloc();
  if (defect == "input") throw qsim::InputError("x.npy: truncated");
  if (defect == "file") std::filesystem::create_directory("/proc/none/such");
  return 0;
}
