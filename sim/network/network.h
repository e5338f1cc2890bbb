// A trained network as data: what it computes in real numbers, node by node, with its weights, and
// how a configuration speaks of each tensor. families/ builds networks; nothing else knows a tensor
// by its name.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "golden/ops/one_or_each.h"
#include "sim/config/sections.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::network {

// ---- what a node computes ----

// y = x W^T + b.
struct Linear {
  FloatTensor weight;  // [out, in], as stored
  std::vector<float> bias;
  std::int64_t out_features() const { return weight.shape[0]; }
  std::int64_t in_features() const { return weight.shape[1]; }
};

struct Norm {
  std::vector<float> gamma;
  std::vector<float> beta;
  double eps = 1e-6;  // in [0, 1)
};

// An input: pixels, uint8 [C, H, W], of which the network sees (p / 255 - mean) / std.
struct Pixels {};
// An input: real numbers, [tokens, channels].
struct Activations {};
// An input: the ids of tokens, [tokens], each below `vocabulary`.
struct Tokens {
  std::int64_t vocabulary = 0;
};
// An input of every step: what the step before left behind, zeros in the first (Network::carried).
struct Past {};
// The tensor it reads, under the name by which a program that starts here has it.
struct Entry {};
// [C, H, W] to [(H/size) (W/size), C size size], row by row; within a patch as a convolution's
// weight: channel, row, column.
struct Patches {
  std::int64_t size = 1;
};
// A linear layer of `rows` rows of its input, from `first` on (0: of all). `accumulator`: the name
// of its products in integers, where that is not the node's own.
struct Projection {
  Linear layer;
  std::int64_t rows = 0;
  std::string accumulator = {};
  std::int64_t first = 0;
};
// [patches, channels] with rows in front (class token, registers; maybe none), plus positions:
// y[r] = front[r] + position[r], y[rows + t] = x[t] + position[rows + t].
struct Positions {
  FloatTensor front;     // [rows, channels]
  FloatTensor position;  // [rows + patches, channels]
  std::int64_t rows() const { return front.shape[0]; }
};
// Normalisation of each row. Not `centred`: RMS normalisation, which takes no mean away and has no
// beta; a second input, of the shape of the first, is then a gate, which multiplies its result, and
// each of so many equal `groups` of columns has a mean square of its own (gamma: of every column).
struct LayerNorm {
  Norm norm;
  bool centred = true;
  std::int64_t groups = 1;
};
// Columns first .. first + channels of the node: one of several layers that are stacked in one, or
// of any other tensor, and then on its grid.
struct Columns {
  std::int64_t first = 0;
};
// One product for each head. `transpose_rhs`: a b^T / divisor, [T, C] x [S, C] -> [heads, T, S],
// head h on its columns of both. Otherwise [heads, T, S] x [S, C] -> [T, C].
struct Product {
  std::int64_t heads = 1;
  bool transpose_rhs = false;
  double divisor = 1;  // of a b^T
};
// Over the last axis of [heads, T, S]. `causal`: row t sees the columns s <= t + S - T; of the
// others the probability is 0.
struct Softmax {
  bool causal = false;
};
// x Phi(x), element by element.
struct Gelu {};
// Any other function, element by element: one for all columns, or several, each for as many columns
// side by side. `parts`: how many columns have a grid of their own together; empty: all.
struct Elementwise {
  std::vector<std::function<double(double)>> of;
  std::vector<std::int64_t> parts = {};
};
struct Sum {};
// The mean of the rows from `first` on: [T, C] -> [1, C].
struct MeanRows {
  std::int64_t first = 0;
};

// The rows of a table that tokens name: [T] -> [T, channels].
struct Embedding {
  FloatTensor weight;  // [vocabulary, channels]
};
// Of each channel by itself, over the rows up to its own: inputs x [T, C] and the rows before them,
// past [taps - 1, C]. y[t][c] = bias[c] + sum over j of weight[c][j] x[t - taps + 1 + j][c].
struct CausalConvolution {
  FloatTensor weight;  // [C, taps]
  std::vector<float> bias;
  std::int64_t taps() const { return weight.shape[1]; }
};
// Of x [T, C] below past [R, C], the last R rows: the past of the rows that follow.
struct LastRows {};
// A linear recurrence in matrices, one for each head. Inputs: query, key, value, decay, and the
// state that was left, past. S_t = diag(a_t) S_(t-1) + k_t^T v_t; o_t = q_t S_t / divisor. Columns
// are heads side by side; of decay one for each state (HeadsOf), or one for each column of a key.
// Output: [T, output heads * value_width].
struct Recurrence {
  std::int64_t key_width = 1, value_width = 1;
  double divisor = 1;
  bool value_first = false;  // states are [heads, value_width, key_width], else the other way round
};
// The state behind the last row of that recurrence; inputs: key, value, decay, past.
struct FinalState {
  std::int64_t key_width = 1, value_width = 1;
  bool value_first = false;
};
// Element by element a [T, C] times b [T, B]: each column of b for C / B columns side by side.
struct Multiply {};
// Each column times its factor.
struct Scaled {
  std::vector<float> factor;
};

// How many heads there are of each operand of a recurrence. Of two numbers the smaller divides the
// larger, and neighbours of the larger share (ShareOf).
struct RecurrenceHeads {
  std::int64_t query = 1, key = 1, value = 1, decay = 1;
  std::int64_t state = 1;     // the most of key, value and decay
  std::int64_t output = 1;    // the most of query and state
  bool decay_of_key = false;  // decay has a column for each column of a key
};
// From the columns of the operands. As many columns of decay as there are keys or values, whichever
// are more, are one for each state.
RecurrenceHeads HeadsOf(std::int64_t key_width, std::int64_t value_width, std::int64_t query,
                        std::int64_t key, std::int64_t value, std::int64_t decay);
using Function =
    std::variant<Pixels, Activations, Entry, Patches, Projection, Positions, LayerNorm, Columns,
                 Product, Softmax, Gelu, Elementwise, Sum, MeanRows, Tokens, Past, Embedding,
                 CausalConvolution, LastRows, Recurrence, FinalState, Multiply, Scaled>;

// ---- how it is spoken of ----

// A section of the configuration; block -1: outside the blocks.
struct SectionKey {
  std::string key;
  int block = -1;
};

struct Node {
  std::string name;  // of its tensor, in every executor
  Function function;
  std::vector<std::string> inputs = {};    // nodes
  Shape shape;                             // of one input, at the length the network was built for
  int block = -1;                          // -1: outside the blocks
  int part = 0;                            // ascending; what is kept at once when memory matters
  Scope scope = Scope::kModel;             // the smallest that holds it
  std::optional<SectionKey> section = {};  // of its grid
  std::optional<SectionKey> weight_section = {};  // Projection, CausalConvolution
  // What head_wise means here: groups of columns, or of [heads, ...] the planes; 1: nothing.
  std::int64_t heads = 1;
  bool stream = false;     // of the residual stream
  bool compared = true;    // its integers stand for the same real numbers as the float tensor
  Shape length_axes = {};  // which of its axes have the run's length; none: the shape is fixed
  bool wide = false;       // keeps its width where everything else is asked to have 8 bits
};

// What one step hands to the next: the tensor of a node, to a Past.
struct Carry {
  std::string output, input;
};

// ---- the network ----

class Network {
 public:
  std::string weights_hash;        // SHA-256 of the file
  std::vector<std::string> notes;  // what its loader assumed, rewrote or left out: one line each
  std::vector<Carry> carried;

  // Appends a node; its inputs are there already. The name must be new. Throws InternalError.
  Node& Add(Node node);
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node* Find(std::string_view name) const;
  const Node& At(std::string_view name) const;  // throws InternalError
  Node& At(std::string_view name);
  // The function of a node of this kind, or null where there is no such node.
  template <typename F>
  const F* FunctionOf(std::string_view name) const {
    const Node* node = Find(name);
    return node == nullptr ? nullptr : std::get_if<F>(&node->function);
  }
  // The operations that read a node's tensor, entries seen through.
  std::vector<const Node*> ReadersOf(const Node& node) const;
  // Whether the array reads it, which multiplies codes of 8 bits.
  bool FeedsArray(const Node& node) const;
  bool IsSecondFactor(const Node& node) const;  // of a Multiply
  // Whether linear layers alone read it, which can absorb factors of the channels of a norm or of a
  // product of two tensors.
  bool Absorbed(const Node& node) const;
  // The words by which a configuration speaks of this network's tensors. A stream is wide by
  // default, and a weight channel_wise.
  Sections Vocabulary() const;
  std::int64_t depth() const;                        // blocks
  const Node& End() const { return nodes_.back(); }  // of a network that has nodes
  // The end where it lies behind the blocks, or null: then the network ends with them.
  const Node* Head() const;
  // The head where it gives one number for each class, a layer or the sum of two; or null: then its
  // rows are features.
  const Node* Logits() const;
  std::int64_t classes() const { return Logits() == nullptr ? 0 : Logits()->shape.back(); }
  // The last tensor with a row for each token: the end of the network, or what its head reads.
  // Null for a network without nodes.
  const Node* TokenFeatures() const;
  int parts() const { return nodes_.empty() ? 0 : nodes_.back().part + 1; }
  // The node that a program's tensor stands for, or null: accumulators and optional int8 steps
  // belong to their layer.
  const Node* NodeOf(std::string_view tensor) const;

 private:
  std::vector<Node> nodes_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::size_t, std::less<>> accumulators_;
};

// Names that the program's tensors have beside the node's own.
inline constexpr std::string_view kProductSuffix =
    ".acc";  // of a Product or MeanRows: its accumulator
inline constexpr std::string_view kNarrowSuffix =
    ".quant";                                           // of a Projection: its optional int8 step
inline constexpr std::string_view kSumSuffix = ".sum";  // of a Softmax: what its rows add up to
inline constexpr std::string_view kQuotientSuffix =
    ".divided";  // of a Product: its accumulator over those sums
// The accumulator of a Projection.
const std::string& AccumulatorName(const Node& node);
// What a Projection's accumulator is requantized to where nothing else does it.
std::string NarrowName(const Node& node);

}  // namespace qsim::network
