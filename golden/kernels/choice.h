// Who runs a program's operations on this machine, and what there is to say of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "golden/kernels/fast_backend.h"
#include "golden/ops/names.h"

namespace qsim::golden {

enum class Kernels : std::uint8_t { kFast, kReference };
constexpr auto NamesOf(Kernels /*enum*/) {
  return std::to_array<NamedValue<Kernels>>({
      {Kernels::kFast, "fast"},
      {Kernels::kReference, "reference"},
  });
}

// What ran.
struct KernelReport {
  Kernels kernels = Kernels::kFast;
  std::string instruction_set;                 // of the fast kernels; empty for the reference
  std::vector<std::string> by_reference = {};  // outputs that the fast kernels left to it
};

// A backend of one program, for all its images and several threads at once. The program must
// outlive it and not change.
class ChosenBackend {
 public:
  ChosenBackend(Kernels kernels, const Program& program);
  Backend& operator*() { return *backend_; }
  KernelReport Report() const;

 private:
  Kernels kernels_;
  std::unique_ptr<GoldenBackend> backend_;
  const FastBackend* fast_ = nullptr;
};

}  // namespace qsim::golden
