// A sequence that runs piece by piece: where it is cut, and what each piece gets. A program with
// carried state takes one of any length; what is kept of it does not grow with the length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"

namespace qsim::run {

struct Piece {
  std::int64_t first = 0;   // token
  std::int64_t length = 0;  // tokens; 0: all there is
  bool last = true;
};

// Where a tensor of a piece lies in that of the whole input.
struct TensorPlace {
  std::int64_t image = 0;
  std::int64_t element = 0;  // its first one
  Shape whole;               // of the longest input of the run
};

inline constexpr std::int64_t kDefaultChunk = 256;

// So many tokens in pieces of these lengths, the last one again and again; `chunk` is not empty.
std::vector<Piece> CutOf(std::int64_t length, const std::vector<std::int64_t>& chunk);

// One input of `length` tokens (0: of no run-time length), cut so; empty: into kDefaultChunk.
// Throws InputError where the program cannot take it: longer than its longest at once, to be cut
// where it carries nothing, or within a chunk of a recurrence.
std::vector<Piece> PiecesOf(const Program& program, std::int64_t length,
                            const std::vector<std::int64_t>& chunk);

// A state, or what is made of one: it has no run-time length in a program that runs in pieces.
bool IsState(const Program& program, const TensorInfo& info);
// What a step before has left: not a tensor of the whole input, since it depends on the cut.
bool IsPast(const Program& program, const std::string& tensor);

// In tokens; 0: images.
std::int64_t LengthOf(const ModelInputs& inputs, std::int64_t index);

// One input of tokens alone, cut to a piece.
ModelInputs PieceOf(const ModelInputs& inputs, std::int64_t index, const Piece& piece);
// Of every sequence the first tokens, at most so many.
void KeepFirst(ModelInputs& inputs, std::int64_t tokens);

// One image out of a tensor with an image axis.
IntTensor SliceImage(const IntTensor& stacked, std::int64_t image);
// One input of the bundle's own, cut to a piece.
IntTensor BundleInput(const Bundle& bundle, const std::string& name, std::int64_t image,
                      const Piece& piece = {});

}  // namespace qsim::run
