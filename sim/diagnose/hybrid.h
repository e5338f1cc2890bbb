// A network between float and integer: every operation of a program golden, exact, or one of the
// steps between the two. What is between the operations is carried as real numbers, and as codes
// where a tensor is on its grid.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "sim/semantics/step_reference.h"

namespace qsim {

// What is exact about one operation. Nothing: the golden operation. All of it: the exact operation
// on real numbers, with the float weights, and its result neither rounded nor clipped.
struct Exactness {
  bool function = false;   // the softmax, layer norm or GELU itself, not its integer approximation
  bool ratio = false;      // the ratio of scales, not multiplier and shift
  bool weights = false;    // float weights and biases, not integers; products of real numbers
  bool unrounded = false;  // the output leaves its grid
  bool unclipped = false;  // the output may leave its range
  static constexpr Exactness All() { return {true, true, true, true, true}; }
  bool operator==(const Exactness&) const = default;
};

// The values of one tensor for one image. Not to be shared between threads.
class HybridTensor {
 public:
  explicit HybridTensor(FloatTensor real) : real_(std::move(real)) {}
  HybridTensor(IntTensor codes, const Grid& grid) : codes_(std::move(codes)), grid_(grid) {}

  const FloatTensor& real() const;  // dequantized when it is first asked for
  const IntTensor* codes() const { return codes_ ? &*codes_ : nullptr; }  // null off the grid

 private:
  mutable FloatTensor real_;
  std::optional<IntTensor> codes_;
  std::optional<Grid> grid_;  // where there are codes
};

// Tensors by name. States of one image share what they have in common.
using HybridState = std::map<std::string, std::shared_ptr<const HybridTensor>, std::less<>>;

// One entry for each node of the network: the program's inputs, then its operations.
using Modes = std::vector<Exactness>;

class HybridNetwork {
 public:
  // All must outlive this. Throws InputError where the program is not one of this model: a tensor
  // of another shape, an operation that the model does not have, inputs of another kind.
  HybridNetwork(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs);

  std::size_t nodes() const { return names_.size(); }
  const std::string& NameOf(std::size_t node) const { return names_[node]; }
  // Null for an input.
  const Op* OpOf(std::size_t node) const;
  std::size_t NodeOf(const std::string& tensor) const { return nodes_.at(tensor); }
  // The nodes whose tensors nothing reads.
  std::vector<std::size_t> Last() const;
  Modes AllOf(Exactness exactness) const { return Modes(nodes(), exactness); }
  const Bundle& bundle() const { return bundle_; }
  // The float layer that a GEMM stands for.
  const network::Linear* LinearOf(const std::string& output) const { return exact_.LinearOf(output); }

  // The program's inputs for one image before they are quantized; pixels are on their grid.
  HybridState ExactInputs(std::int64_t image) const;

  // Every tensor of one image.
  HybridState Run(const HybridState& inputs, const Modes& modes) const;

  // The tensors that are other than in `base`, the state of `base_modes`: those of `replaced`, of
  // the nodes with another mode, and of everything that reads them.
  HybridState Change(const HybridState& inputs, const HybridState& base, const Modes& base_modes,
                     const Modes& modes, HybridState replaced = {}) const;

  // One node from the tensors that it reads.
  std::shared_ptr<const HybridTensor> Compute(std::size_t node, Exactness exactness,
                                              const HybridState& values) const;

  // A tensor's real values rounded and clamped to its grid, as a run does with its inputs.
  std::shared_ptr<const HybridTensor> OnGrid(const std::string& tensor,
                                             const FloatTensor& real) const;

 private:
  class Lookup;
  std::shared_ptr<const HybridTensor> Node(std::size_t node, Exactness exactness,
                                           const Lookup& values) const;
  FloatTensor ExactOutput(std::size_t op, const Lookup& values) const;
  IntTensor Golden(std::size_t op, const Lookup& codes) const;
  std::shared_ptr<const HybridTensor> Gemm(std::size_t op, Exactness e, const Lookup& values) const;
  std::shared_ptr<const HybridTensor> Matmul(std::size_t op, Exactness e,
                                             const Lookup& values) const;
  std::shared_ptr<const HybridTensor> Rounding(std::size_t op, Exactness e, bool exact_inside,
                                               const Lookup& values) const;
  std::shared_ptr<const HybridTensor> FromAccumulator(const std::string& name, FloatTensor real,
                                                      const Accumulator& acc, bool unclipped) const;
  std::shared_ptr<const HybridTensor> FromReal(const std::string& name, const FloatTensor& real,
                                               Exactness e, const std::vector<double>& error) const;

  const Bundle& bundle_;
  const network::Network& model_;
  const ModelInputs& inputs_;
  StepReference exact_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t> nodes_;
};

}  // namespace qsim
