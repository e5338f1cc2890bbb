// The program: a list of integer operations on named tensors, with every scale already turned into
// integers. It is the one description of the datapath; executors run it, exporters print it.
// docs/architecture.md, docs/numerics.md.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "golden/program/operation.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

// A named tensor of the datapath. `shape` is that of one image; recorded taps carry the image axis
// in front. Storage type and clamp range follow from `range`; accumulators have the range of their
// width.
struct TensorInfo {
  std::string name;  // "blocks.0.attn_q_out"
  Shape shape;       // [tokens, channels], [heads, tokens, tokens] or, of pixels, [C, H, W]
  DType dtype = DType::kInt8;
  QuantRange range;
  // Axes whose extent is the length of the run: `shape` has the longest one.
  Shape length_axes = {};
  bool operator==(const TensorInfo&) const = default;
};
// The tensor in a run of this length; 0: the longest.
TensorInfo AtLength(TensorInfo info, std::int64_t length);
// The tensor's shape in the run in which it has so many elements.
Shape ShapeOf(const TensorInfo& info, std::int64_t elements);

// A tensor that one step hands to the next: `output`, of one step, is `input` of the next one, and
// the constant `initial` that of the first.
struct Carried {
  std::string output, input, initial;
  bool operator==(const Carried&) const = default;
};

struct Program {
  std::vector<TensorInfo> tensors;             // in the order they are defined; inputs first
  std::vector<std::string> inputs;             // names of the tensors that a run supplies
  std::map<std::string, IntTensor> constants;  // weights and biases
  std::vector<Op> ops;
  std::vector<Carried> carried = {};  // recurrences and caches

  std::int64_t MaxLength() const;                         // 0: no tensor has a run-time length
  const TensorInfo& Tensor(std::string_view name) const;  // throws ProgramError
  const TensorInfo* FindTensor(std::string_view name) const;
  const IntTensor& Constant(std::string_view name) const;
  bool operator==(const Program&) const = default;
};

// A program that breaks a rule of its own format: a missing tensor, a shape or a range that does
// not fit, a parameter out of its documented range, an accumulator that could overflow under
// `error`.
struct ProgramError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Checks everything that an executor relies on, so that a loaded program can neither crash nor
// compute with undefined behaviour. A program with a run-time length is checked at its longest and
// its shortest: its shapes are linear in the length, and what is proven of sums holds for shorter
// ones. Throws ProgramError naming the operation and what is wrong.
void Validate(const Program& program);

}  // namespace qsim::golden
