#include "golden/kernels/choice.h"

#include "golden/kernels/instruction_set.h"

namespace qsim::golden {

ChosenBackend::ChosenBackend(Kernels kernels, const Program& program) : kernels_(kernels) {
  if (kernels == Kernels::kReference) {
    backend_ = std::make_unique<GoldenBackend>();
    return;
  }
  auto fast = std::make_unique<FastBackend>(program);
  fast_ = fast.get();
  backend_ = std::move(fast);
}

KernelReport ChosenBackend::Report() const {
  if (fast_ == nullptr) return {.kernels = kernels_, .instruction_set = ""};
  return {kernels_, std::string(kernels::InstructionSet()), fast_->ByReference()};
}

}  // namespace qsim::golden
