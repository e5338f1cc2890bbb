#include "golden/program/ops/patchify.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void PatchifyOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  checker.Require(in.shape.size() == 3 && in.dtype == DType::kUint8,
                  "needs uint8 pixels [C, H, W]");
  checker.Require(patch >= 1 && in.shape[1] % patch == 0 && in.shape[2] % patch == 0,
                  "patch must divide the image's height and width, is " + std::to_string(patch));
  checker.RequireShape(
      output, {(in.shape[1] / patch) * (in.shape[2] / patch), in.shape[0] * patch * patch});
  checker.RequireSameCodes(input, output);
}

void PatchifyOp::Run(OperationRun& run) const {
  const Shape in = run.Info(input).shape;
  const std::int64_t width = in[2], plane = in[1] * width;
  const Shape extents = {in[1] / patch, width / patch, in[0], patch, patch};
  const Shape strides = {patch * width, patch, plane, width, 1};
  run.StoreView(output, input, {0, extents, strides});
}

}  // namespace qsim::golden
