// What the operations of a program are in real numbers: one function for each kind, in a file of
// its name. Neither rounded nor clipped. Sums are of doubles, so that a grid of 16 bits rounds what
// its codes really add up to; whatever multiplies is the float network's own arithmetic.
#pragma once

#include <functional>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/semantics/mixed_tensor.h"
#include "sim/semantics/model_weights.h"

namespace qsim {

struct ExactOperands {
  const Bundle& bundle;
  const ModelWeights& model;
  std::function<const MixedTensor&(const std::string& name)> tensor;  // those that it reads
  // Weights, biases and positions of the float model, and products of real numbers. Otherwise those
  // that the program's integers stand for, and products with the zero points of the program.
  bool float_weights = true;
};

Reals Exact(const GemmOp& op, const ExactOperands& in);
Reals Exact(const MatmulOp& op, const ExactOperands& in);
Reals Exact(const RequantizeOp& op, const ExactOperands& in);
Reals Exact(const SoftmaxOp& op, const ExactOperands& in);
Reals Exact(const LayernormOp& op, const ExactOperands& in);
Reals Exact(const GeluOp& op, const ExactOperands& in);
Reals Exact(const ResidualAddOp& op, const ExactOperands& in);
Reals Exact(const EmbedOp& op, const ExactOperands& in);
// No real numbers: pixels move as they are, and sums of int32 are of networks without a float
// model.
Reals Exact(const PatchifyOp& op, const ExactOperands& in);
Reals Exact(const AddOp& op, const ExactOperands& in);

inline Reals AsReals(const FloatTensor& x) { return {x.data.begin(), x.data.end()}; }

}  // namespace qsim
