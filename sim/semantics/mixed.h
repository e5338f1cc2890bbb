// The executor between float and integer: every operation of a program golden, exact, or one of the
// steps between the two. What is between the operations is carried as real numbers, and as codes
// where a tensor is on its grid.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "sim/semantics/mixed_tensor.h"
#include "sim/semantics/model_check.h"

namespace qsim::semantics {

// What is exact about one operation.
struct Exactness {
  bool function = false;   // a function of its own (HasFunction), not its integer approximation
  bool ratio = false;      // the ratio of scales, not multiplier and shift
  bool weights = false;    // float weights and biases, not integers; products of real numbers
  bool unrounded = false;  // the output leaves its grid
  bool unclipped = false;  // the output may leave its range
  bool unbounded = false;  // the accumulator neither wraps nor saturates
  static constexpr Exactness Golden() { return {}; }
  // The exact operation on real numbers, with the float weights, and its result as it is.
  static constexpr Exactness All() { return {true, true, true, true, true, true}; }
  // Ideal fake quantization: the program's own integers and grids, and exact arithmetic between
  // them. What these bits could give at best.
  static constexpr Exactness Ideal() {
    return {.function = true, .ratio = true, .unbounded = true};
  }
  bool operator==(const Exactness&) const = default;
};

// Tensors by name. States of one image share what they have in common.
using MixedState = std::map<std::string, std::shared_ptr<const MixedTensor>, std::less<>>;

// One entry for each node of the network: the program's inputs, what is carried to it, then its
// operations.
using Modes = std::vector<Exactness>;

// May be used by several threads at once: what it prepares of a program, it prepares once.
class MixedExecutor {
 public:
  // All must outlive this. Throws InputError where the program is not one of this model: a tensor
  // of another shape, an operation that the model does not have, inputs of another kind. An
  // operation that reads other tensors than the network's node (Wiring::kAny) does so in integers;
  // in real numbers it is the node.
  MixedExecutor(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                Wiring wiring = Wiring::kOfModel);
  ~MixedExecutor();
  MixedExecutor(const MixedExecutor&) = delete;
  MixedExecutor& operator=(const MixedExecutor&) = delete;

  std::size_t nodes() const { return names_.size(); }
  // The operations come last.
  std::size_t first_op() const { return names_.size() - bundle_.program.ops.size(); }
  const std::string& NameOf(std::size_t node) const { return names_[node]; }
  // Null for an input.
  const Op* OpOf(std::size_t node) const;
  std::size_t NodeOf(const std::string& tensor) const { return nodes_.at(tensor); }
  // What the node's operation reads, in integers or in real numbers.
  std::vector<std::string> ReadsOf(std::size_t node) const;
  // Whether the node rounds something else than a sum or a ratio: Exactness::function speaks of it.
  bool HasFunction(std::size_t node) const;
  // Whether a tensor stands for other real numbers than the network's node: exponentials that are
  // divided later, sums of them, and products with them.
  bool Undivided(const std::string& tensor) const { return undivided_.contains(tensor); }
  // The nodes whose tensors nothing reads.
  std::vector<std::size_t> Last() const;
  Modes AllOf(Exactness exactness) const { return Modes(nodes(), exactness); }
  const Bundle& bundle() const { return bundle_; }
  const network::Network& model() const { return model_; }
  // The images of which a tensor holds the pixels as they are, where the network has them
  // normalised; null for any other tensor.
  const ImageInputs* PixelsIn(const std::string& tensor) const;

  // The program's inputs for one image before they are quantized; pixels and tokens are as they
  // are. Other inputs than those of the executor are of the same kind.
  MixedState ExactInputs(std::int64_t image) const { return ExactInputs(inputs_, image); }
  MixedState ExactInputs(const ModelInputs& inputs, std::int64_t image) const;

  // Every tensor of one image. What is carried to it and not among the inputs is what a first piece
  // begins with: zeros in real numbers, else the program's initial values.
  MixedState Run(const MixedState& inputs, const Modes& modes) const;
  // The same in little memory: each tensor but those of `kept` is dropped behind its last reader.
  MixedState RunForOutputs(const MixedState& inputs, const Modes& modes,
                           const std::set<std::string>& kept = {}) const;

  // The tensors that are other than in `base`, the state of `base_modes`: those of `replaced`, of
  // the nodes with another mode, and of everything that reads them.
  MixedState Change(const MixedState& inputs, const MixedState& base, const Modes& base_modes,
                    const Modes& modes, MixedState replaced = {}) const;

  // One node from the tensors that it reads. In mode All on a golden run's values: what the
  // operation should have given there, for the loss of this step alone.
  std::shared_ptr<const MixedTensor> Compute(std::size_t node, Exactness exactness,
                                             const MixedState& values) const;

  // A tensor's real values rounded and clamped to its grid, as a run does with its inputs.
  std::shared_ptr<const MixedTensor> OnGrid(const std::string& tensor,
                                            const FloatTensor& real) const;

 private:
  // Tensors that changed, and behind them those that did not.
  class Lookup {
   public:
    explicit Lookup(const MixedState& changed, const MixedState* base = nullptr)
        : changed_(changed), base_(base) {}
    bool Changed(const std::string& name) const { return changed_.contains(name); }
    const std::shared_ptr<const MixedTensor>& At(const std::string& name) const {
      const auto found = changed_.find(name);
      return found != changed_.end() ? found->second : base_->at(name);
    }

   private:
    const MixedState& changed_;
    const MixedState* base_;
  };
  struct Prepared;
  static bool OnGrids(const Op& op, const Lookup& values);  // whether all that it reads is
  // The operation as the network has it: what its real numbers are of.
  const Op& Wired(const Op& op) const;
  std::shared_ptr<const MixedTensor> Initial(const std::string& tensor, Exactness e) const;
  // Whether it is what a recurrence's state is carried to.
  bool IsState(const std::string& tensor) const;
  std::shared_ptr<const MixedTensor> Node(std::size_t node, Exactness exactness,
                                          const Lookup& values) const;
  std::shared_ptr<const MixedTensor> OffGrid(const std::string& name, ExactValue value) const;
  ExactValue ExactOf(const Op& integers, const Lookup& values, bool float_weights) const;
  template <typename WeightedOp>
  const network::Linear& LayerOf(const WeightedOp& op) const;
  std::shared_ptr<const MixedTensor> Golden(std::size_t node, const Lookup& values) const;
  std::shared_ptr<const MixedTensor> Product(std::size_t node, const Accumulator& acc, Exactness e,
                                             const Lookup& values) const;
  std::shared_ptr<const MixedTensor> Rounding(std::size_t node, Exactness e,
                                              const Lookup& values) const;
  std::shared_ptr<const MixedTensor> FromExact(const std::string& name, ExactValue value,
                                               Exactness e, const Reals& error) const;

  const Bundle& bundle_;
  const network::Network& model_;
  const ModelInputs& inputs_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t> nodes_;
  std::set<std::string> undivided_;
  std::map<std::string, Op> wired_;  // by output: those that read other tensors than the network's
  std::set<std::string> wired_reads_;
  std::unique_ptr<Prepared> prepared_;
};

}  // namespace qsim::semantics
