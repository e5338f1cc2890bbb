// How the sums of a matrix product are made, as far as the outputs tell: terms that are missing or
// counted twice, groups and tiles, orders, accumulators that are not cleared.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <utility>

#include "sim/explain/gemm_solver.h"

namespace qsim::explain {
namespace {

constexpr int kMembers = 3;  // of a family that are kept

}  // namespace

// A range of terms whose sum is what an output lacks, or has too much: two partial sums that
// differ by it.
void GemmModel::Solver::AddMissingTerms() {
  if (spec_.depth < 2) return;
  constexpr std::size_t kPairs = std::size_t{1} << 16;
  const auto depth = static_cast<std::size_t>(spec_.depth);
  for (const std::int64_t times : {0, 2}) {
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
    bool first = true;
    for (const std::int64_t e : few_) {
      Terms terms;
      model_.At(Golden(), e, terms);
      std::vector<std::int64_t> partial = {0};
      for (std::size_t k = 0; k < depth; ++k)
        partial.push_back(partial.back() +
                          (terms.lhs[k] - terms.lhs_zero) * (terms.rhs[k] - terms.rhs_zero));
      const std::int64_t sum = (times - 1) * Difference(e);
      if (first) {
        std::multimap<std::int64_t, std::int64_t> places;
        for (std::size_t end = 0; end <= depth && ranges.size() < kPairs; ++end) {
          const auto [from, to] = places.equal_range(partial[end] - sum);
          for (auto at = from; at != to; ++at)
            ranges.emplace_back(at->second, static_cast<std::int64_t>(end));
          places.emplace(partial[end], static_cast<std::int64_t>(end));
        }
      } else {
        std::erase_if(ranges, [&](const auto& range) {
          return partial[static_cast<std::size_t>(range.second)] -
                     partial[static_cast<std::size_t>(range.first)] !=
                 sum;
        });
      }
      first = false;
    }
    // Ranges that reach an end, or are aligned best, are the likeliest.
    const auto plainness = [&](const std::pair<std::int64_t, std::int64_t>& range) {
      int plain = range.first == 0 || range.second == spec_.depth ? 64 : 0;
      for (const std::int64_t end : {range.first, range.second})
        if (end != 0 && end != spec_.depth)
          plain += std::countr_zero(static_cast<std::uint64_t>(end));
      return plain;
    };
    std::stable_sort(ranges.begin(), ranges.end(),
                     [&](const auto& a, const auto& b) { return plainness(a) > plainness(b); });
    const char* verb = times == 0 ? "missing" : "counted twice";
    const char* verb_id = times == 0 ? "missing" : "twice";
    for (std::size_t i = 0; i < std::min<std::size_t>(kMembers, ranges.size()); ++i) {
      const auto [from, end] = ranges[i];
      const std::int64_t count = end - from;
      std::string id, phrase;
      const auto of_end = [&](const char* which) {
        id = count == 1 ? fmt::format("{}_{}", which, verb_id)
                        : fmt::format("{}_{}_{}", which, count, verb_id);
        phrase = fmt::format("the {} {} of each sum {}", which,
                             count == 1 ? "term" : fmt::format("{} terms", count), verb);
      };
      if (count == spec_.depth) {
        if (times == 0 && spec_.bias.empty()) continue;  // a constant
        id = "all_" + std::string(verb_id);
        phrase = times == 0 ? "nothing but the bias" : "all terms counted twice";
      } else if (end == spec_.depth) {
        of_end("last");
      } else if (from == 0) {
        of_end("first");
      } else {
        id = fmt::format("terms_{}_to_{}_{}", from, end - 1, verb_id);
        phrase = count == 1 ? fmt::format("term {} of each sum {}", from, verb)
                            : fmt::format("terms {} to {} of each sum {}", from, end - 1, verb);
      }
      model_.depths_.push_back({from, end, times});
      AddChoice(8, std::move(id), std::move(phrase), count == 1 || count % 8 == 0 ? 2 : 3,
                from == 0 || end == spec_.depth ? 1 : 2);
    }
  }
}

// Neighbouring products added in few bits before the sum.
void GemmModel::Solver::AddGroups() {
  int found = 0;
  for (const std::int64_t group : {2, 4, 8, 16, 32, 3, 6}) {
    if (group > spec_.depth) continue;
    for (const int bits : {16, 18, 20, 24, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 21, 22, 23}) {
      for (const AccKind kind : {AccKind::kGroupSaturate, AccKind::kGroupWrap}) {
        Settings settings = Golden();
        settings.acc = {kind, bits, group};
        if (found == 2 * kMembers || !Fits(settings)) continue;
        ++found;
        model_.accs_.push_back(settings.acc);
        const bool saturates = kind == AccKind::kGroupSaturate;
        AddChoice(6,
                  fmt::format("groups_of_{}_{}_{}", group, saturates ? "saturate" : "wrap", bits),
                  fmt::format("the products of {} neighbouring k added in {} bits, {}",
                              group == 2 ? "two" : fmt::format("{}", group), bits,
                              saturates ? "saturating" : "wrapping"),
                  bits == 16 ? 2 : 3, 0);
      }
    }
  }
}

// Low bits that are lost with each K tile. How many tiles and bits are worth a trial, the
// differences tell: every loss takes 0 .. 2^bits - 1, and in rounding half of it to either side.
void GemmModel::Solver::AddTileTruncation() {
  constexpr int kBits = 20;
  double mean = 0;
  double square = 0;
  for (const std::int64_t e : many_) {
    const auto difference = static_cast<double>(Difference(e));
    mean += difference / static_cast<double>(many_.size());
    square += difference * difference / static_cast<double>(many_.size());
  }
  const auto plausible = [&](LowBits low, int bits, std::int64_t tiles) {
    const double unit = std::ldexp(1.0, bits);
    const auto n = static_cast<double>(tiles);
    const double spread = std::sqrt(n) * unit;
    const double expected = low == LowBits::kFloor ? -n * (unit - 1) / 2 : 0;
    if (low == LowBits::kTowardZero) return std::sqrt(square) < n * unit && square > unit / 8;
    return std::abs(mean - expected) < 2 * spread && std::sqrt(square) < n * unit &&
           std::sqrt(square) > spread / 16;
  };
  std::vector<AccChoice> fits;
  for (const LowBits low : {LowBits::kFloor, LowBits::kHalfUp, LowBits::kTowardZero}) {
    for (const std::int64_t tile : Tiles()) {
      for (int bits = 1; bits <= kBits; ++bits) {
        if (!plausible(low, bits, (spec_.depth + tile - 1) / tile)) continue;
        for (const AccKind kind :
             {AccKind::kTileAfter, AccKind::kTileBefore, AccKind::kTilePartial}) {
          for (const bool bias_last : {false, true}) {
            // Between multiples, what is lost after a tile is what the tile's own sum loses.
            const bool same = kind == AccKind::kTilePartial ||
                              (kind == AccKind::kTileAfter && low != LowBits::kTowardZero);
            if (bias_last && (spec_.bias.empty() || same)) continue;
            const AccChoice acc = {kind, bits, tile, low, bias_last};
            if (Accumulates(acc)) fits.push_back(acc);
          }
        }
      }
    }
  }
  KeepBest(fits);
  for (const AccChoice& acc : fits) AddTile(acc);
}

void GemmModel::Solver::AddTile(const AccChoice& acc) {
  model_.accs_.push_back(acc);
  const std::string lost = acc.bits == 1 ? "lowest bit" : fmt::format("low {} bits", acc.bits);
  const char* how = acc.low == LowBits::kFloor    ? "cleared"
                    : acc.low == LowBits::kHalfUp ? "rounded away"
                                                  : "truncated toward zero";
  const std::string each = acc.tile == 1 ? "product" : fmt::format("K tile of {}", acc.tile);
  std::string phrase =
      acc.kind == AccKind::kTilePartial
          ? fmt::format("the {} of the sum of each {} {} before it is accumulated", lost, each, how)
          : fmt::format("the {} of the partial sum {} {} each {}", lost, how,
                        acc.kind == AccKind::kTileAfter ? "after" : "before", each);
  if (acc.bias_last) phrase += ", the bias added at the end";
  const char* where = acc.kind == AccKind::kTilePartial ? "of"
                      : acc.kind == AccKind::kTileAfter ? "after"
                                                        : "before";
  AddChoice(6, fmt::format("{}_bits_lost_{}_tiles_of_{}", acc.bits, where, acc.tile),
            std::move(phrase), 3, 2);
}

// A sum that saturates not in every addition but with each K tile.
void GemmModel::Solver::AddTileSaturation() {
  std::vector<AccChoice> fits;
  for (int bits = 24; bits >= 8; --bits) {
    for (const std::int64_t tile : Tiles()) {
      const AccChoice acc = {AccKind::kTileSaturate, bits, tile};
      if (tile != 1 && Accumulates(acc)) fits.push_back(acc);
    }
  }
  KeepBest(fits);
  for (const AccChoice& acc : fits) {
    model_.accs_.push_back(acc);
    AddChoice(6, fmt::format("saturate_{}_tiles_of_{}", acc.bits, acc.tile),
              fmt::format("the accumulator saturates at {} bits after each K tile of {}", acc.bits,
                          acc.tile),
              3, 1);
  }
}

// One operand's k in another order than the other's.
void GemmModel::Solver::AddDepthOrders() {
  int found = 0;
  for (const KnownOrder& order : KnownOrders(spec_.depth)) {
    Settings settings = Golden();
    settings.operand = {OperandKind::kDepthOrder, order};
    if (!Fits(settings)) continue;
    model_.operands_.push_back(settings.operand);
    AddChoice(7, "depth_" + order.Id(), "the " + order.Phrase("k of one operand (lhs or rhs)"), 3,
              order.n > 1 ? 1 : 0);
    if (++found == kMembers) return;
  }
}

// The weights of other columns under a column's own bias.
void GemmModel::Solver::AddColumns() {
  if (spec_.bias.empty()) return;
  std::vector<std::int64_t> golden = model_.golden();
  std::vector<std::int64_t> actual(model_.actual().begin(), model_.actual().end());
  for (std::size_t e = 0; e < golden.size(); ++e) {
    const std::int64_t bias = model_.BiasOf(static_cast<std::int64_t>(e) % spec_.cols);
    golden[e] -= bias;
    actual[e] -= bias;
  }
  const std::vector<IndexOrder> orders =
      OrdersOf(SliceSources(golden, actual, spec_.cols, 1), "columns");
  if (orders.empty()) return;
  const IndexOrder& order = orders.front();
  model_.operands_.push_back({OperandKind::kRhsColumns, {}, 0, order.sources});
  AddChoice(7, "rhs_columns_" + order.id, "the right operand's " + order.phrase,
            order.freedom > 2 ? 4 : 3, order.freedom);
}

void GemmModel::Solver::AddBorrows() {
  for (const bool rows : {false, true}) {
    const std::int64_t length = rows ? spec_.rows : spec_.cols;
    for (const std::int64_t period : {std::int64_t{1}, length / 2}) {
      if (period == 0 || (period == 1 && length == 2 && rows)) continue;
      for (const std::int64_t upper : {1, 0}) {
        for (const bool of_sums : {false, true}) {
          const std::int64_t distance = upper == 1 ? -period : period;
          Settings settings = Golden();
          settings.borrow = {rows ? distance : 0, rows ? 0 : distance, period, upper, of_sums};
          if (!Fits(settings)) continue;
          model_.borrows_.push_back(settings.borrow);
          const char* things = rows ? "rows" : "columns";
          AddChoice(9,
                    fmt::format("{}_{}_{}{}", things, period, upper == 1 ? "upper" : "lower",
                                of_sums ? "_of_sums" : ""),
                    fmt::format("two {} packed into one multiplication, the {} of {} losing 1 "
                                "wherever the other's {} is negative (a borrow that is not given "
                                "back)",
                                things, upper == 1 ? "second" : "first",
                                period == 1 ? "each neighbouring pair"
                                            : fmt::format("each pair {} apart", period),
                                of_sums ? "sum" : "product"),
                    3, 0);
          if (length == 2 * period) continue;
        }
      }
    }
  }
}

// An accumulator that begins with what an earlier output left in it.
void GemmModel::Solver::AddCarries() {
  const std::vector<std::int64_t> some = model_.SomeMismatches(48);
  const auto try_one = [&](CarryChoice carry, const std::string& what, std::int64_t n) {
    for (const bool without_bias : {false, true}) {
      if (without_bias && spec_.bias.empty()) continue;
      carry.without_bias = without_bias;
      std::size_t failures = 0;
      for (const std::int64_t e : some) {
        const Place place = model_.PlaceOf(e);
        const Place from = {place.product - carry.products, place.row - carry.rows,
                            place.col - carry.cols};
        const bool inside = from.product >= 0 && from.row >= 0 && from.col >= 0;
        const std::int64_t bias = without_bias ? model_.BiasOf(place.col) : 0;
        if (!inside || Difference(e) != Actual(model_.ElementOf(from)) - bias) ++failures;
        if (failures * 8 > some.size()) break;
      }
      if (failures * 8 > some.size()) continue;
      model_.carries_.push_back(carry);
      AddChoice(10, fmt::format("{}_{}{}", what, n, without_bias ? "_without_bias" : ""),
                fmt::format("the accumulator not cleared but carried on from {}{}",
                            n == 1 ? fmt::format("the {} before", what)
                                   : fmt::format("{} {}s before", n, what),
                            without_bias ? ", without a bias of its own" : ""),
                3, n == 1 ? 0 : 1);
    }
  };
  for (std::int64_t n = 1; n < spec_.rows; ++n) try_one({0, n, 0}, "row", n);
  for (std::int64_t n = 1; n < spec_.cols; ++n) try_one({0, 0, n}, "column", n);
  // Of one head, from image to image.
  const bool images = model_.axis_names().front() == "image" && model_.shape().size() > 2;
  const std::int64_t of_image = images ? spec_.products / model_.shape().front() : 0;
  for (std::int64_t n = 1; n < std::min<std::int64_t>(spec_.products, 64); ++n) {
    if (images && n % of_image == 0)
      try_one({n, 0, 0}, "image", n / of_image);
    else
      try_one({n, 0, 0}, "product", n);
  }
}

}  // namespace qsim::explain
