#include "golden/program/ops/patchify.h"

#include <utility>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim {

void PatchifyOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(in.shape.size() == 3 && in.dtype == DType::kUint8,
                  "needs uint8 pixels [C, H, W]");
  checker.Require(patch >= 1 && in.shape[1] % patch == 0 && in.shape[2] % patch == 0,
                  "patch must divide the image's height and width, is " + std::to_string(patch));
  checker.RequireShape(
      output, {(in.shape[1] / patch) * (in.shape[2] / patch), in.shape[0] * patch * patch});
  checker.Require(out.dtype == in.dtype && out.range == in.range,
                  "moves data only: output needs the type and range of the input");
}

void PatchifyOp::Run(OperationRun& run) const {
  const IntTensor& in = run.Value(input);
  IntTensor out(DType::kUint8, run.Info(output).shape);
  Patchify(in.As<std::uint8_t>(), in.shape()[0], in.shape()[1], in.shape()[2], patch,
           out.As<std::uint8_t>());
  run.Store(output, std::move(out));
}

}  // namespace qsim
