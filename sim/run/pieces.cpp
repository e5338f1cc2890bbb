#include "sim/run/pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"

namespace qsim::run {
namespace {

IntTensor SliceRows(const IntTensor& tensor, std::int64_t first, std::int64_t count) {
  Shape shape = tensor.shape();
  const std::int64_t row = tensor.size() / shape.at(0);
  shape[0] = count;
  IntTensor::Storage part = std::visit(
      [&](const auto& values) -> IntTensor::Storage {
        const auto begin = values.begin() + first * row;
        return std::decay_t<decltype(values)>(begin, begin + count * row);
      },
      tensor.storage());
  return {std::move(shape), std::move(part)};
}

// [1, count, D] of [N, T, D].
FloatTensor SliceRows(const FloatTensor& all, std::int64_t index, const Piece& piece) {
  const bool whole = piece.first == 0 && piece.last;  // of several inputs each has its own length
  const std::int64_t length = whole ? all.shape[1] : piece.length;
  FloatTensor part{{1, length, all.shape[2]}, {}};
  const auto begin = all.data.begin() + (index * all.shape[1] + piece.first) * all.shape[2];
  part.data.assign(begin, begin + length * all.shape[2]);
  return part;
}

}  // namespace

std::vector<Piece> CutOf(std::int64_t length, const std::vector<std::int64_t>& chunk) {
  std::vector<Piece> pieces;
  for (std::int64_t first = 0; first < length; first += pieces.back().length) {
    const std::int64_t most = chunk[std::min(pieces.size(), chunk.size() - 1)];
    const std::int64_t taken = std::min(most, length - first);
    pieces.push_back({first, taken, first + taken == length});
  }
  return pieces;
}

std::vector<Piece> PiecesOf(const Program& program, std::int64_t length,
                            const std::vector<std::int64_t>& chunk) {
  const std::int64_t longest = program.MaxLength();
  if (longest == 0) return {{}};
  if (program.carried.empty()) {
    if (length > longest) {
      throw InputError(
          fmt::format("an input has {} tokens, but the program takes at most {}", length, longest));
    }
    return {{0, length, true}};
  }
  for (const std::int64_t tokens : chunk) {
    if (tokens > longest) {
      throw InputError(
          fmt::format("--chunk {}: the program takes at most {} tokens at once", tokens, longest));
    }
  }
  // Chunks of a recurrence begin with each piece.
  const std::int64_t rows = ChunkRows(program);
  const std::int64_t whole = std::min(std::max(kDefaultChunk, rows), longest);
  std::vector<Piece> pieces =
      CutOf(length, chunk.empty() ? std::vector{whole - whole % std::min(rows, whole)} : chunk);
  if (pieces.size() < 2) return pieces;
  for (const Piece& piece : pieces) {
    if (piece.last || piece.length % rows == 0) continue;
    throw InputError(
        fmt::format("--chunk {}: the program's recurrences run by chunks of {} rows "
                    "(numerics.recurrence_chunk), and other cuts would change their bits; {}",
                    piece.length, rows,
                    rows <= longest ? fmt::format("give a multiple of {}", rows)
                                    : fmt::format("at most {} tokens run at once", longest)));
  }
  for (const TensorInfo& info : program.tensors) {
    if (info.length_axes.empty() || info.length_axes == Shape{0}) continue;
    throw InputError(
        fmt::format("'{}' has another axis of tokens than the first: an input of {} "
                    "tokens cannot run in pieces; give a --chunk of that many",
                    info.name, length));
  }
  return pieces;
}

bool IsState(const Program& program, const TensorInfo& info) {
  return info.length_axes.empty() && program.MaxLength() > 0 && !program.carried.empty();
}

bool IsPast(const Program& program, const std::string& tensor) {
  return std::any_of(program.carried.begin(), program.carried.end(),
                     [&](const Carried& carried) { return carried.input == tensor; });
}

std::int64_t LengthOf(const ModelInputs& inputs, std::int64_t index) {
  if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data)) {
    return tokens->lengths.empty() ? tokens->ids.shape()[1]
                                   : tokens->lengths[static_cast<std::size_t>(index)];
  }
  const auto* embeddings = std::get_if<FloatTensor>(&inputs.data);
  return embeddings == nullptr ? 0 : embeddings->shape[1];
}

ModelInputs PieceOf(const ModelInputs& inputs, std::int64_t index, const Piece& piece) {
  ModelInputs part;
  if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data)) {
    IntTensor ids = tokens->Sequence(index);
    const std::int64_t length = piece.length == 0 ? ids.size() : piece.length;
    ids = SliceRows(ids, piece.first, length);
    part.data = TokenInputs{IntTensor({1, length}, std::move(ids.storage()))};
  } else {
    part.data = SliceRows(std::get<FloatTensor>(inputs.data), index, piece);
  }
  for (const FloatTensor& more : inputs.more) part.more.push_back(SliceRows(more, index, piece));
  return part;
}

void KeepFirst(ModelInputs& inputs, std::int64_t tokens) {
  if (auto* ids = std::get_if<TokenInputs>(&inputs.data)) {
    for (std::int64_t i = 0; i < inputs.count(); ++i) {
      if (ids->lengths.empty())
        ids->lengths.assign(static_cast<std::size_t>(inputs.count()), ids->ids.shape()[1]);
      std::int64_t& length = ids->lengths[static_cast<std::size_t>(i)];
      length = std::min(length, tokens);
    }
  }
}

IntTensor SliceImage(const IntTensor& stacked, std::int64_t image) {
  IntTensor one = SliceRows(stacked, image, 1);
  Shape shape(one.shape().begin() + 1, one.shape().end());
  return {std::move(shape), std::move(one.storage())};
}

IntTensor BundleInput(const Bundle& bundle, const std::string& name, std::int64_t image,
                      const Piece& piece) {
  IntTensor whole = SliceImage(bundle.inputs.at(name), image);
  const Shape& axes = bundle.program.Tensor(name).length_axes;
  const std::int64_t length = piece.length == 0 ? LengthOf(bundle, image) : piece.length;
  if (axes != Shape{0} || (piece.first == 0 && length == whole.shape()[0])) return whole;
  return SliceRows(whole, piece.first, length);
}

}  // namespace qsim::run
