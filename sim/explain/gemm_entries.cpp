// Operands of a matrix product that are read from other places than theirs: tiles transposed, of
// the tile before, entries late in memory.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/explain/gemm_solver.h"

namespace qsim::explain {
namespace {

constexpr int kOfAKind = 3;

std::string CountOf(std::int64_t n, const char* one, const char* several) {
  return n == 1 ? fmt::format("one {}", one) : fmt::format("{} {}", n, several);
}

std::string OperandName(bool left) { return left ? "the left operand" : "the right operand"; }

}  // namespace

void GemmModel::Solver::AddEntries() {
  for (const bool left : {true, false}) {
    AddTransposedTiles(left);
    AddLateEntries(left);
    AddOtherTiles(left);
    AddLateTiles(left);
    AddStaleTile(left);
    AddOtherProduct(left);
    AddOtherBits(left);
  }
}

bool GemmModel::Solver::TryOperand(OperandChoice operand, std::string id, std::string phrase,
                                   std::int64_t freedom) {
  const std::vector<Choice>& choices = model_.coordinates_[7].choices;
  if (std::any_of(choices.begin(), choices.end(), [&](const Choice& c) { return c.id == id; }))
    return false;
  Settings settings = Golden();
  settings.operand = std::move(operand);
  if (!Fits(settings)) return false;
  model_.operands_.push_back(std::move(settings.operand));
  AddChoice(7, std::move(id), std::move(phrase), 3, freedom);
  return true;
}

bool GemmModel::Solver::TryEntries(bool left, Entries entries, std::string id, std::string phrase,
                                   std::int64_t freedom) {
  OperandChoice operand = {OperandKind::kMoved};
  (left ? operand.lhs : operand.rhs) = std::move(entries);
  return TryOperand(std::move(operand), (left ? "lhs_" : "rhs_") + id, std::move(phrase), freedom);
}

// That of another image: an operand that was not exchanged, or too early.
void GemmModel::Solver::AddOtherProduct(bool left) {
  constexpr std::int64_t kFarthest = 4096;
  const std::vector<std::int64_t>& starts = left ? spec_.lhs_start : spec_.rhs_start;
  if (starts.front() == starts.back()) return;
  const std::string& name = spec_.axis_names.front();
  for (std::int64_t n = spec_.group; n < std::min(spec_.products, kFarthest); n += spec_.group) {
    for (const std::int64_t before : {n, -n}) {
      OperandChoice operand = {OperandKind::kMoved};
      (left ? operand.lhs_products : operand.rhs_products) = before;
      const std::int64_t count = n / spec_.group;
      TryOperand(std::move(operand), fmt::format("{}_products_{}", left ? "lhs" : "rhs", before),
                 fmt::format("{} of {} {}", OperandName(left),
                             CountOf(count, name.c_str(), (name + "s").c_str()),
                             before > 0 ? "before" : "further on"),
                 count == 1 ? 0 : 1);
    }
  }
}

// Bits of an operand that are lost, stuck or at another place.
void GemmModel::Solver::AddOtherBits(bool left) {
  const int bits = left ? spec_.lhs_bits : spec_.rhs_bits;
  const bool is_signed = left ? spec_.lhs_signed : spec_.rhs_signed;
  if (bits == 0) return;
  const std::string whose = OperandName(left);
  const auto stored = [=](std::int64_t word, int width, bool with_sign) {
    word &= (std::int64_t{1} << width) - 1;
    return with_sign && word >> (width - 1) != 0 ? word - (std::int64_t{1} << width) : word;
  };
  const auto try_one = [&](std::function<std::int64_t(std::int64_t)> value, const std::string& id,
                           std::string phrase, std::int64_t freedom) {
    OperandChoice operand = {OperandKind::kOtherBits};
    (left ? operand.lhs_value : operand.rhs_value) = std::move(value);
    TryOperand(std::move(operand), (left ? "lhs_" : "rhs_") + id, std::move(phrase), freedom);
  };
  for (int b = 0; b < bits; ++b) {
    const std::int64_t bit = std::int64_t{1} << b;
    for (const int to : {0, 1})
      try_one([=](std::int64_t v) { return stored(to == 1 ? v | bit : v & ~bit, bits, is_signed); },
              fmt::format("bit_{}_always_{}", b, to),
              fmt::format("{}'s bit {} always {}", whose, b, to), 1);
  }
  for (int width = bits - 1; width >= 2; --width) {
    for (const bool with_sign : {is_signed, !is_signed})
      try_one([=](std::int64_t v) { return stored(v, width, with_sign); },
              fmt::format("{}_bits_{}", width, with_sign ? "signed" : "unsigned"),
              fmt::format("the lowest {} bits of {} only, {}", width, whose,
                          with_sign ? "signed" : "unsigned"),
              1);
    const int low = bits - width;
    try_one([=](std::int64_t v) { return v >> low << low; }, fmt::format("low_{}_lost", low),
            low == 1 ? whose + "'s lowest bit always 0"
                     : fmt::format("{}'s lowest {} bits always 0", whose, low),
            1);
  }
  const int half = bits / 2;
  try_one(
      [=](std::int64_t v) {
        const std::int64_t word = v & ((std::int64_t{1} << bits) - 1);
        return stored(word >> half | word << half, bits, is_signed);
      },
      "halves_exchanged", fmt::format("the halves of each word of {} exchanged", whose), 0);
  if (is_signed) {
    try_one([](std::int64_t v) { return v < 0 ? -v : v; }, "magnitude", whose + " without its sign",
            0);
    const std::int64_t least = 1 - (std::int64_t{1} << (bits - 1));
    try_one([least](std::int64_t v) { return std::max(v, least); }, "symmetric",
            fmt::format("{} from {} on", whose, least), 0);
  }
}

// Tiles that are whole, transposed within themselves.
void GemmModel::Solver::AddTransposedTiles(bool left) {
  const std::int64_t depth = spec_.depth;
  const std::int64_t length = left ? spec_.rows : spec_.cols;
  const std::string operand = OperandName(left);
  constexpr std::int64_t kMostTile = 256;
  for (std::int64_t n = 2; n <= std::min({depth, length, kMostTile}); ++n)
    TryEntries(
        left,
        [=](Entry e) -> Entry {
          const std::int64_t k = e.first - e.first % n, at = e.second - e.second % n;
          return k + n > depth || at + n > length ? e : Entry{k + e.second - at, at + e.first - k};
        },
        fmt::format("transposed_in_tiles_of_{}", n),
        fmt::format("each {} x {} tile of {} transposed", n, n, operand), 1);
}

// Late or early in memory.
void GemmModel::Solver::AddLateEntries(bool left) {
  const std::int64_t depth = spec_.depth;
  const std::int64_t length = left ? spec_.rows : spec_.cols;
  const std::string operand = OperandName(left);
  const char* const other = left ? "m" : "n";
  for (const bool along_k : {true, false}) {
    int found = 0;
    for (std::int64_t n = 1; n <= 4096 && found < kOfAKind; n += n < 64 ? 1 : n) {
      for (const std::int64_t late : {n, -n}) {
        found +=
            TryEntries(
                left,
                [=](Entry e) -> Entry {
                  const std::int64_t width = along_k ? depth : length;
                  const std::int64_t at =
                      (along_k ? e.second * width + e.first : e.first * width + e.second) - late;
                  if (at < 0) return {-1, -1};
                  return along_k ? Entry{at % width, at / width} : Entry{at / width, at % width};
                },
                fmt::format("{}_{}_along_{}", late < 0 ? "early" : "late", n,
                            along_k ? "k" : other),
                fmt::format("{} {} {} in memory, where {} runs fastest", operand,
                            CountOf(n, "entry", "entries"), late < 0 ? "early" : "late",
                            along_k ? "k" : other),
                1)
                ? 1
                : 0;
      }
    }
  }
}

// K tiles with what other ones should have.
void GemmModel::Solver::AddOtherTiles(bool left) {
  const std::int64_t depth = spec_.depth;
  const std::string operand = OperandName(left);
  int found = 0;
  const auto of_tiles = [&](std::int64_t n, auto source, const char* id, const char* which,
                            const char* from) {
    if (found >= kOfAKind) return;
    found += TryEntries(
                 left,
                 [=](Entry e) -> Entry {
                   const std::int64_t tile = source(e.first / n);
                   const std::int64_t k = tile * n + e.first % n;
                   return k < 0 || k >= depth ? e : Entry{k, e.second};
                 },
                 fmt::format("{}_tiles_of_{}", id, n),
                 fmt::format("{} K tile of {} with {} of the {}", which, n, operand, from), 1)
                 ? 1
                 : 0;
  };
  for (const std::int64_t n : Tiles()) {
    if (2 * n > depth) continue;
    of_tiles(
        n, [](std::int64_t t) { return t - 1; }, "previous", "each", "tile before");
    of_tiles(
        n, [](std::int64_t t) { return t + 1; }, "next", "each", "tile behind it");
    of_tiles(
        n, [](std::int64_t t) { return t - t % 2; }, "even", "every odd", "tile before");
    of_tiles(
        n, [](std::int64_t t) { return t | 1; }, "odd", "every even", "tile behind it");
    of_tiles(
        n, [](std::int64_t) { return 0; }, "first", "every", "first one");
  }
}

// A stream of tiles, one late.
void GemmModel::Solver::AddLateTiles(bool left) {
  const std::int64_t depth = spec_.depth;
  const std::int64_t length = left ? spec_.rows : spec_.cols;
  const std::string operand = OperandName(left);
  const char* const other = left ? "m" : "n";
  int found = 0;
  for (std::int64_t k_tile = 4; k_tile <= depth && found < kOfAKind; k_tile *= 2) {
    for (std::int64_t tile = 4; tile <= length && found < kOfAKind; tile *= 2) {
      for (const bool k_inner : {true, false}) {
        const std::int64_t k_tiles = (depth + k_tile - 1) / k_tile;
        const std::int64_t tiles = (length + tile - 1) / tile;
        found += TryEntries(
                     left,
                     [=](Entry e) -> Entry {
                       const std::int64_t k = e.first / k_tile, at = e.second / tile;
                       const std::int64_t before =
                           (k_inner ? at * k_tiles + k : k * tiles + at) - 1;
                       if (before < 0) return e;
                       const std::int64_t k_of = k_inner ? before % k_tiles : before / tiles;
                       const std::int64_t of = k_inner ? before / k_tiles : before % tiles;
                       return {k_of * k_tile + e.first % k_tile, of * tile + e.second % tile};
                     },
                     fmt::format("tile_{}_{}_late_{}_inner", k_tile, tile, k_inner ? "k" : other),
                     fmt::format("{} one tile of {} {} and {} {} late, the tiles of {} running "
                                 "fastest",
                                 operand, k_tile, "k", tile, other, k_inner ? "k" : other),
                     2)
                     ? 1
                     : 0;
      }
    }
  }
}

// One K tile with entries of another one, or of other rows or columns: which, the first mismatch
// bounds, and the others decide.
void GemmModel::Solver::AddStaleTile(bool left) {
  constexpr std::int64_t kMostDepth = 4096;
  const std::int64_t depth = std::min(spec_.depth, kMostDepth);
  const std::int64_t length = left ? spec_.rows : spec_.cols;
  const std::int64_t e = few_.front();
  Terms terms;
  model_.At(Golden(), e, terms);
  // Of the operand that is read as it should be, behind its zero point.
  const std::vector<std::int32_t>& codes = left ? terms.rhs : terms.lhs;
  std::vector<std::int64_t> right_one(codes.begin(), codes.end());
  for (std::int64_t& value : right_one) value -= left ? terms.rhs_zero : terms.lhs_zero;
  const std::vector<std::int32_t>& own = left ? terms.lhs : terms.rhs;
  const std::int64_t difference = Difference(e);
  const auto at = [](const auto& list, std::int64_t k) {
    return list[static_cast<std::size_t>(k)];
  };
  for (const std::int64_t tile : Tiles()) {
    if (tile < 2) continue;
    for (std::int64_t first = 0; first < depth; first += tile) {
      const std::int64_t end = std::min(first + tile, depth);
      for (std::int64_t from = 0; from + (end - first) <= depth; from += tile) {
        std::int64_t sum = from == first ? 1 - difference : 0;
        for (std::int64_t k = first; k < end; ++k)
          sum += at(right_one, k) * (at(own, from + k - first) - at(own, k));
        if (sum == difference) AddStaleTile(left, first, end, {first - from, 0});
      }
    }
  }
  // Of another row or column.
  const Place place = model_.PlaceOf(e);
  const std::int64_t index = left ? place.row : place.col;
  for (std::int64_t other = 0; other < length; ++other) {
    if (other == index) continue;
    Settings moved = Golden();
    moved.operand.kind = OperandKind::kMoved;
    (left ? moved.operand.lhs : moved.operand.rhs) = [other](Entry entry) -> Entry {
      return {entry.first, other};
    };
    Terms of_other;
    model_.At(moved, e, of_other);
    const std::vector<std::int32_t>& others = left ? of_other.lhs : of_other.rhs;
    std::vector<std::int64_t> partial = {0};
    for (std::int64_t k = 0; k < depth; ++k)
      partial.push_back(partial.back() + at(right_one, k) * (at(others, k) - at(own, k)));
    for (const std::int64_t tile : Tiles()) {
      for (std::int64_t first = 0; first < depth; first += tile) {
        const std::int64_t end = std::min(first + tile, depth);
        if (at(partial, end) - at(partial, first) == difference && end - first < depth)
          AddStaleTile(left, first, end, {0, index - other});
      }
    }
  }
}

void GemmModel::Solver::AddStaleTile(bool left, std::int64_t first, std::int64_t end,
                                     Entry distance) {
  const std::string operand = OperandName(left);
  std::string from;
  if (distance.first != 0) {
    from = fmt::format("k {} to {}", first - distance.first, end - 1 - distance.first);
  } else {
    const std::int64_t n = std::abs(distance.second);
    from = fmt::format("{} {}", CountOf(n, left ? "row" : "column", left ? "rows" : "columns"),
                       distance.second > 0 ? "before" : "further on");
  }
  const std::string k =
      end - first == 1 ? fmt::format("{}", first) : fmt::format("{} to {}", first, end - 1);
  TryEntries(
      left,
      [=](Entry e) -> Entry {
        if (e.first < first || e.first >= end) return e;
        return {e.first - distance.first, e.second - distance.second};
      },
      fmt::format("k_{}_to_{}_from_{}_{}", first, end - 1, distance.first, distance.second),
      fmt::format("k {} with {} of {}", k, operand, from), 2);
}

}  // namespace qsim::explain
