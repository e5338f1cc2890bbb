// The backend that runs by default: every operation equals the specification's bit for bit, and is
// as fast as the vectors of the machine.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "golden/kernels/gemm.h"
#include "golden/program/backend.h"

namespace qsim::golden {

// May serve several threads at once.
class FastBackend final : public GoldenBackend {
 public:
  FastBackend() = default;
  // Packs each weight of this program once and keeps it: the program must outlive the backend and
  // not change. Operations of other programs are run as well.
  explicit FastBackend(const Program& program) : program_(&program) {}

  // Outputs of operations, or of rows of one, for which there was no kernel, in alphabetical order.
  std::vector<std::string> ByReference() const;

  void Run(const Op& op, OperationRun& run) override;
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;

 private:
  struct Kernel;
  const kernels::PackedWeight* Packed(const OperationRun& run, const std::string& weight,
                                      MatrixView<const std::int8_t> rhs);

  void NoteReference(const std::string& output);

  const Program* program_ = nullptr;
  mutable std::mutex mutex_;
  std::set<std::string> by_reference_;
  std::map<std::string, kernels::PackedWeight> packed_;
};

}  // namespace qsim::golden
