#include "sim/cli/version.h"

#include <fmt/format.h>

#include "sim/namespaces.h"

namespace qsim::cli {
namespace {

#if defined(__x86_64__)
constexpr const char* kBuiltFor =
    "x86-64"
#ifdef __SSE4_2__
    " sse4.2"
#endif
#ifdef __AVX2__
    " avx2"
#endif
#ifdef __AVX512F__
    " avx512f"
#endif
    ;

std::string MachineHas() {
  std::string sets;
  const auto add = [&sets](const char* name, int has) {
    if (has != 0) sets += fmt::format(" {}", name);
  };
  // The compiler wants literals here.
  add("sse4.2", __builtin_cpu_supports("sse4.2"));
  add("avx2", __builtin_cpu_supports("avx2"));
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  return "x86-64" + sets;
}
#elif defined(__aarch64__)
constexpr const char* kBuiltFor = "aarch64";
std::string MachineHas() { return kBuiltFor; }
#else
constexpr const char* kBuiltFor = "an unnamed architecture";
std::string MachineHas() { return kBuiltFor; }
#endif

}  // namespace

std::string VersionText() {
  return fmt::format(
      "qsim {}, commit {}\n"
      "compiler {}, {}\n"
      "built for {}; this machine: {}",
      QSIM_VERSION, kCommit, QSIM_COMPILER, QSIM_BUILD_TYPE, kBuiltFor, MachineHas());
}

}  // namespace qsim::cli
