// Parameters of a matrix product that the outputs tell: zero points, biases, heads.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "sim/explain/gemm_solver.h"
#include "sim/explain/narrow.h"

namespace qsim::explain {
namespace {

// The commonest key, if it has at least this share.
std::optional<std::int64_t> Commonest(const std::map<std::int64_t, std::int64_t>& votes,
                                      double share) {
  std::int64_t all = 0;
  std::pair<std::int64_t, std::int64_t> best = {0, 0};
  for (const auto& [value, count] : votes) {
    all += count;
    if (count > best.second) best = {value, count};
  }
  if (all == 0 || static_cast<double>(best.second) < share * static_cast<double>(all))
    return std::nullopt;
  return best.first;
}

}  // namespace

GemmModel::Solver::Solver(GemmModel& model)
    : model_(model),
      spec_(model.spec_),
      few_(model.SomeMismatches(12)),
      many_(model.SomeMismatches(4096)) {}

void GemmModel::Solver::Add() {
  if (few_.empty()) return;
  for (const std::int64_t e : few_) {
    model_.At(Golden(), e, golden_terms_.emplace_back());
    AddPartialSums(golden_terms_.back());
  }
  AddCorrections();
  AddBiases();
  AddHeads();
  AddMissingTerms();
  AddGroups();
  AddTileTruncation();
  AddTileSaturation();
  AddDepthOrders();
  AddColumns();
  AddEntries();
  AddBorrows();
  AddCarries();
}

bool GemmModel::Solver::Fits(const Settings& settings,
                             const std::vector<std::int64_t>& elements) const {
  if (elements.empty()) return false;
  std::size_t failures = 0;
  Terms terms;
  for (const std::int64_t e : elements) {
    if (model_.At(settings, e, terms) != Actual(e)) ++failures;
    if (failures * 8 > elements.size()) return false;
  }
  return true;
}

bool GemmModel::Solver::Accumulates(const AccChoice& acc) const {
  Settings settings = Golden();
  settings.acc = acc;
  std::size_t failures = 0;
  for (std::size_t i = 0; i < few_.size(); ++i) {
    if (model_.Accumulate(settings, golden_terms_[i]) != Actual(few_[i])) ++failures;
    if (failures * 8 > few_.size()) return false;
  }
  return true;
}

void GemmModel::Solver::KeepBest(std::vector<AccChoice>& fits) const {
  constexpr std::size_t kMembers = 3;
  Settings settings = Golden();
  // So many outputs that differ and so many of all; and how many choices are left behind them.
  struct Round {
    std::size_t outputs, left;
  };
  for (const auto& [outputs, left] : {Round{16, 64}, Round{64, 16}, Round{512, kMembers}}) {
    if (fits.size() < 2) return;
    std::vector<std::int64_t> elements = model_.SomeMismatches(outputs);
    const std::int64_t stride =
        std::max<std::int64_t>(model_.size() / static_cast<std::int64_t>(outputs), 1);
    for (std::int64_t e = 0; e < model_.size(); e += stride) elements.push_back(e);
    std::vector<std::pair<std::size_t, std::size_t>> failures;  // and the choice
    for (std::size_t i = 0; i < fits.size(); ++i) failures.emplace_back(0, i);
    for (const std::int64_t e : elements) {
      Terms terms;
      model_.At(settings, e, terms);
      AddPartialSums(terms);
      for (std::size_t i = 0; i < fits.size(); ++i) {
        settings.acc = fits[i];
        if (model_.Accumulate(settings, terms) != Actual(e)) ++failures[i].first;
      }
      settings.acc = {};
    }
    std::sort(failures.begin(), failures.end());
    failures.resize(std::min(failures.size(), left));
    std::vector<AccChoice> best;
    best.reserve(failures.size());
    for (const auto& [count, i] : failures) best.push_back(fits[i]);
    fits = std::move(best);
  }
}

void GemmModel::Solver::AddChoice(std::size_t coordinate, std::string id, std::string phrase,
                                  int cost, std::int64_t freedom) {
  model_.coordinates_[coordinate].choices.push_back(
      {std::move(id), std::move(phrase), cost, true, {}, freedom});
}

std::vector<std::int64_t> GemmModel::Solver::Tiles() const {
  std::vector<std::int64_t> tiles;
  for (std::int64_t tile = 1; tile < spec_.depth; tile *= 2) tiles.push_back(tile);
  constexpr std::int64_t kAll = 4096;
  for (std::int64_t tile = 3; tile < std::min(spec_.depth, kAll); ++tile)
    if ((tile & (tile - 1)) != 0) tiles.push_back(tile);
  return tiles;
}

// actual = plain product + bias + A row_sum(m) + B column_sum(n) + C: two outputs of one row tell
// B, two of one column tell A, and then each tells C.
void GemmModel::Solver::AddCorrections() {
  Settings none = Golden();
  none.correction = {false, false, 0, 0, 0};
  struct Output {
    std::int64_t product = 0, row = 0, col = 0, row_sum = 0, column_sum = 0, rest = 0;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, Output> by_row, by_col;
  std::map<std::int64_t, std::int64_t> row_votes, column_votes, constant_votes;
  std::vector<Output> outputs;
  Terms terms;
  for (const std::int64_t e : model_.SomeMismatches(1024)) {
    const Place place = model_.PlaceOf(e);
    Output out = {place.product, place.row, place.col};
    out.rest = Actual(e) - model_.At(none, e, terms);
    for (const std::int64_t l : terms.lhs) out.row_sum += l;
    for (const std::int64_t r : terms.rhs) out.column_sum += r;
    outputs.push_back(out);
  }
  const auto vote = [](const Output& a, const Output& b, std::int64_t step, auto& votes) {
    if (step == 0) return;
    const std::int64_t change = b.rest - a.rest;
    if (change % step == 0) ++votes[change / step];
  };
  for (const Output& out : outputs) {
    const auto [row, new_row] = by_row.emplace(std::pair(out.product, out.row), out);
    if (!new_row) vote(row->second, out, out.column_sum - row->second.column_sum, column_votes);
    const auto [col, new_col] = by_col.emplace(std::pair(out.product, out.col), out);
    if (!new_col) vote(col->second, out, out.row_sum - col->second.row_sum, row_votes);
  }
  constexpr double kShare = 0.6;
  const bool uniform =
      std::equal(spec_.lhs_zero.begin() + 1, spec_.lhs_zero.end(), spec_.lhs_zero.begin()) &&
      std::equal(spec_.rhs_zero.begin() + 1, spec_.rhs_zero.end(), spec_.rhs_zero.begin());
  if (!uniform) {
    // Zero points of their own for each column or product: each term is there, missing, or has the
    // wrong sign.
    for (const std::int64_t rows : {1, 0, -1}) {
      for (const std::int64_t columns : {1, 0, -1}) {
        for (const std::int64_t constant : {1, 0, -1}) {
          const Correction tried = {false, true, rows, columns, constant};
          Settings settings = Golden();
          settings.correction = tried;
          if (rows + columns + constant != 3 && Fits(settings)) NameCorrection(tried);
        }
      }
    }
    return;
  }
  Correction found = {false, false, -spec_.rhs_zero[0], -spec_.lhs_zero[0], 0};
  if (const auto factor = Commonest(row_votes, kShare)) found.row_sums = *factor;
  if (const auto factor = Commonest(column_votes, kShare)) found.column_sums = *factor;
  for (const Output& out : outputs)
    ++constant_votes[out.rest - found.row_sums * out.row_sum - found.column_sums * out.column_sum];
  const auto constant = Commonest(constant_votes, kShare);
  if (!constant) return;
  found.constant = *constant;
  NameCorrection(found);
}

void GemmModel::Solver::NameCorrection(const Correction& found) {
  const std::int64_t left = spec_.lhs_zero[0];
  const std::int64_t right = spec_.rhs_zero[0];
  const std::int64_t depth = spec_.depth;
  std::string id, phrase;
  std::int64_t freedom = 0;
  const auto add = [&](std::string more_id, std::string more, std::int64_t solved) {
    id += (id.empty() ? "" : "_") + more_id;
    phrase += (phrase.empty() ? "" : ", and ") + more;
    freedom += solved;
  };
  const Correction golden = found.of_terms
                                ? Correction{false, true, 1, 1, 1}
                                : Correction{false, false, -right, -left, depth * left * right};
  const std::int64_t new_left = -found.column_sums;
  const std::int64_t new_right = -found.row_sums;
  // One of them 0: the other one is another number.
  const bool zeros = (new_right != 0 || new_left != left) && (new_left != 0 || new_right != right);
  const bool whole =
      !found.of_terms && zeros && found.constant == depth * found.row_sums * found.column_sums;
  if (!found.of_terms && left != right && new_left == right && new_right == left &&
      found.constant == golden.constant) {
    add("zero_points_exchanged", "the two zero points exchanged", 0);
  } else if (whole || (!found.of_terms && golden.constant == 0 && found.constant == 0)) {
    const auto zero = [&](const char* name, const char* words, std::int64_t is,
                          std::int64_t should) {
      if (is == should) return;
      if (whole && is == 0)
        add(fmt::format("{}_ignored", name),
            fmt::format("the {} operand's zero point ignored", words), 0);
      else
        add(fmt::format("{}_{}", name, is),
            fmt::format("a {} zero point of {} instead of {}", words, is, should), 1);
    };
    zero("lhs_zero", "left", new_left, left);
    zero("rhs_zero", "right", new_right, right);
  } else {
    const auto term = [&](const char* name, const char* words, std::int64_t is,
                          std::int64_t should) {
      if (is == should) return;
      if (is == 0) {
        add(std::string(name) + "_missing", fmt::format("{} missing", words), 0);
      } else if (is == -should) {
        add(std::string(name) + "_sign", fmt::format("{} with the wrong sign", words), 0);
      } else {
        add(fmt::format("{}_{}", name, is),
            should == 0 ? fmt::format("{}, by {}, which should not be there", words, is)
                        : fmt::format("{} by {} instead of {}", words, is, should),
            1);
      }
    };
    term("row_sums", "the correction of the right zero point by the row sums of the left operand",
         found.row_sums, golden.row_sums);
    term("column_sums",
         "the correction of the left zero point by the column sums of the right operand",
         found.column_sums, golden.column_sums);
    const std::int64_t product = left * right;
    if (!found.of_terms && found.constant != golden.constant && found.constant != 0 &&
        found.constant != -golden.constant && product != 0 && found.constant % product == 0) {
      const std::int64_t counted = found.constant / product;
      add(fmt::format("k_{}", counted),
          fmt::format("K z_l z_r counted for K = {} instead of {}", counted, depth), 1);
    } else {
      // Any other constant is a number too much at every output, and called that.
      if (found.constant != golden.constant && found.constant != 0 &&
          found.constant != -golden.constant)
        return;
      term("k_zl_zr", "the correction K z_l z_r", found.constant, golden.constant);
    }
  }
  if (id.empty()) return;
  model_.corrections_.push_back(found);
  AddChoice(4, id, phrase, freedom == 0 ? 2 : 3, freedom);
}

void GemmModel::Solver::AddBias(std::vector<std::int64_t> bias, std::string id, std::string phrase,
                                std::int64_t freedom) {
  Settings settings = Golden();
  settings.bias = &bias;
  if (!Fits(settings)) return;
  model_.biases_.push_back(std::move(bias));
  AddChoice(5, std::move(id), std::move(phrase), freedom == 0 ? 2 : 3, freedom);
}

void GemmModel::Solver::AddBiases() {
  const std::vector<std::int64_t>& bias = spec_.bias;
  if (std::all_of(bias.begin(), bias.end(), [](std::int64_t b) { return b == 0; })) return;
  const auto changed = [&](auto change) {
    std::vector<std::int64_t> values;
    for (const std::int64_t b : bias) values.push_back(change(b));
    return values;
  };
  // So many times: the differences are a multiple of it.
  std::map<std::int64_t, std::int64_t> multiples;
  std::map<std::int64_t, std::map<std::int64_t, std::int64_t>> of_column;
  for (const std::int64_t e : many_) {
    const std::int64_t col = model_.PlaceOf(e).col;
    ++of_column[col][Difference(e)];
    const std::int64_t b = model_.BiasOf(col);
    if (b != 0 && Difference(e) % b == 0) ++multiples[Difference(e) / b + 1];
  }
  if (const auto times = Commonest(multiples, 0.5)) {
    const std::int64_t n = *times;
    std::string id = fmt::format("{}_times", n);
    std::string phrase = fmt::format("the bias added {} times", n);
    if (n == 0) std::tie(id, phrase) = std::pair("missing", "the bias left out");
    if (n == -1) std::tie(id, phrase) = std::pair("subtracted", "the bias subtracted");
    if (n == 2) std::tie(id, phrase) = std::pair("twice", "the bias added twice");
    if (n > 1) {
      // ceil(K / tile) == n
      const std::int64_t least = (spec_.depth + n - 1) / n;
      const std::int64_t most = (spec_.depth - 1) / (n - 1);
      std::int64_t tile = 1;
      while (2 * tile <= most) tile *= 2;
      if (tile < least) tile = least;
      if (tile <= most)
        phrase += fmt::format(", as once for each K tile of {} is{}", tile,
                              least == most ? "" : fmt::format(" ({} to {} fit)", least, most));
    }
    AddBias(changed([n](std::int64_t b) { return n * b; }), std::move(id), std::move(phrase),
            n >= -1 && n <= 2 ? 0 : 1);
  }
  for (int bits = 1; bits <= 16; ++bits) {
    AddBias(changed([bits](std::int64_t b) { return b >> bits; }), fmt::format("down_{}", bits),
            fmt::format("the bias shifted down by {}", bits), 1);
    if (bits % 8 == 0) {
      AddBias(changed([bits](std::int64_t b) { return WrapTo(b, bits); }),
              fmt::format("wrap_{}", bits), fmt::format("the bias wraps to {} bits", bits), 0);
      AddBias(changed([bits](std::int64_t b) { return SaturateTo(b, bits); }),
              fmt::format("saturate_{}", bits), fmt::format("the bias saturates at {} bits", bits),
              0);
    }
  }
  // Those of other columns.
  std::map<std::int64_t, std::int64_t> columns;
  for (std::size_t n = 0; n < bias.size(); ++n) {
    const auto [place, added] = columns.emplace(bias[n], static_cast<std::int64_t>(n));
    if (!added) place->second = -1;
  }
  std::vector<std::int64_t> sources(bias.size());
  for (std::size_t n = 0; n < bias.size(); ++n) {
    const auto col = static_cast<std::int64_t>(n);
    sources[n] = col;
    const auto found = of_column.find(col);
    if (found == of_column.end()) continue;
    const auto difference = Commonest(found->second, 0.5);
    if (!difference) continue;
    const auto place = columns.find(bias[n] + *difference);
    if (place != columns.end() && place->second >= 0) sources[n] = place->second;
  }
  constexpr std::size_t kOrders = 2;
  std::vector<IndexOrder> orders = OrdersOf(sources, "biases");
  for (std::size_t i = 0; i < std::min(kOrders, orders.size()); ++i) {
    std::vector<std::int64_t> values;
    for (const std::int64_t from : orders[i].sources)
      values.push_back(bias[static_cast<std::size_t>(from)]);
    std::string id = orders[i].id;
    std::string phrase = "the " + orders[i].phrase;
    const auto last = static_cast<std::int64_t>(bias.size()) - 1;
    if (id == "rotated_1")
      std::tie(id, phrase) = std::pair("previous", "the previous column's bias");
    if (id == fmt::format("rotated_{}", last))
      std::tie(id, phrase) = std::pair("next", "the next column's bias");
    AddBias(std::move(values), std::move(id), std::move(phrase), orders[i].freedom);
  }
}

void GemmModel::Solver::AddHeads() {
  if (spec_.group < 2) return;
  AddHeadsOf(true);
  AddHeadsOf(false);
}

// Which head's operand each head uses, from a few mismatches of each.
void GemmModel::Solver::AddHeadsOf(bool left) {
  constexpr std::size_t kOfEach = 4;
  const auto heads = static_cast<std::size_t>(spec_.group);
  std::vector<std::vector<std::int64_t>> of_head(heads);
  for (const std::int64_t e : many_) {
    auto& list = of_head[static_cast<std::size_t>(model_.PlaceOf(e).product % spec_.group)];
    if (list.size() < kOfEach) list.push_back(e);
  }
  std::vector<std::int64_t> own(heads);
  for (std::size_t h = 0; h < heads; ++h) own[h] = static_cast<std::int64_t>(h);
  std::vector<std::int64_t> sources = own;
  for (std::size_t h = 0; h < heads; ++h) {
    for (std::size_t other = 0; other < heads; ++other) {
      if (other == h) continue;
      std::vector<std::int64_t> tried = own;
      tried[h] = static_cast<std::int64_t>(other);
      Settings settings = Golden();
      (left ? settings.lhs_head : settings.rhs_head) = &tried;
      if (!Fits(settings, of_head[h])) continue;
      sources[h] = static_cast<std::int64_t>(other);
      break;
    }
  }
  const char* operand = left ? "left" : "right";
  const std::vector<IndexOrder> orders =
      OrdersOf(sources, fmt::format("{} operand's heads", operand));
  constexpr std::size_t kOrders = 2;
  for (std::size_t i = 0; i < std::min(kOrders, orders.size()); ++i) {
    (left ? model_.lhs_heads_ : model_.rhs_heads_).push_back(orders[i].sources);
    AddChoice(left ? 11 : 12, orders[i].id, "the " + orders[i].phrase, 3, orders[i].freedom);
  }
}

void GemmModel::AddSolved() { Solver(*this).Add(); }

}  // namespace qsim::explain
