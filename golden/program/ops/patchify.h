#pragma once

#include <cstdint>
#include <string>

#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// Image to patches, a view: [C, H, W] uint8 -> [(H/p) (W/p), C p p].
struct PatchifyOp {
  static constexpr Description kIs{"patchify", "9.1", /*clamps=*/false,
                                   "patches of patch x patch, row by row: data movement only"};
  std::string output, input;
  std::int64_t patch = 1;  // divides H and W
  bool operator==(const PatchifyOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"patch", Role::kSize, 32, false}, self.patch);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
