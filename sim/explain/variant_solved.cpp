// What else a few outputs ask for: entries of a table, lists that belong to other channels, rows of
// a constant that are late.
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "golden/kernels/fast_backend.h"
#include "sim/explain/variant_model.h"

namespace qsim::explain {
namespace {

// The only input of an operation that looks at one element at a time; "": of no such.
std::string InputOfFunction(const Op& op) {
  if (const auto* gelu = std::get_if<GeluOp>(&op)) return gelu->input;
  if (const auto* table = std::get_if<TableOp>(&op)) return table->input;
  return "";
}

// So many elements with this code hold this value.
struct Vote {
  std::int64_t code = 0, value = 0, count = 0;
};

// By code.
std::vector<Vote> VotesOf(std::span<const std::int64_t> codes,
                          std::span<const std::int64_t> values) {
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  pairs.reserve(codes.size());
  for (std::size_t e = 0; e < codes.size(); ++e) pairs.emplace_back(codes[e], values[e]);
  std::sort(pairs.begin(), pairs.end());
  std::vector<Vote> votes;
  for (const auto& [code, value] : pairs) {
    if (votes.empty() || votes.back().code != code || votes.back().value != value)
      votes.push_back({code, value, 0});
    ++votes.back().count;
  }
  return votes;
}

}  // namespace

void VariantModel::AddCodes() {
  constexpr double kShare = 0.9;
  constexpr std::int64_t kMostCodes = 1 << 16;  // of a table
  const std::string name = InputOfFunction(program_.ops.front());
  if (name.empty()) return;
  const QuantRange in = program_.Tensor(name).range;
  if (std::int64_t{in.qmax} - in.qmin >= kMostCodes) return;
  const std::vector<std::int64_t> every = EveryCode(name);
  const auto golden_of = [&](std::int64_t code) {
    return every[static_cast<std::size_t>(code - in.qmin)];
  };
  std::vector<std::int64_t> codes;
  for (const TensorMap& image : inputs_)
    for (const std::int32_t code : Int32Of(image.at(name))) codes.push_back(code);
  if (std::ssize(codes) != size()) return;
  for (std::size_t e = 0; e < codes.size(); ++e)
    if (golden_of(codes[e]) != golden()[e]) return;  // columns have their own
  const std::vector<Vote> votes = VotesOf(codes, actual());
  // The codes' entries at other places.
  const std::int64_t count = std::int64_t{in.qmax} - in.qmin + 1;
  const auto add_moved = [&](auto source, std::string id, std::string phrase,
                             std::int64_t freedom) {
    std::int64_t agreeing = 0, differing = 0;
    for (const Vote& vote : votes) {
      const std::int64_t value = golden_of(source(vote.code));
      if (value == golden_of(vote.code)) continue;
      differing += vote.count;
      agreeing += vote.value == value ? vote.count : 0;
    }
    if (agreeing * 2 <= differing) return;
    Codes moved;
    for (const Vote& vote : votes)
      if (golden_of(source(vote.code)) != golden_of(vote.code))
        moved[vote.code] = golden_of(source(vote.code));
    AddCodes(std::move(moved), std::move(id), std::move(phrase), 3, freedom);
  };
  for (std::int64_t n = 1; n < std::min<std::int64_t>(count, 256); ++n) {
    for (const std::int64_t on : {n, -n})
      add_moved(
          [&](std::int64_t code) { return std::clamp<std::int64_t>(code + on, in.qmin, in.qmax); },
          fmt::format("entry_{:+}", on),
          fmt::format("the entry of the code {} {}", n == 1 ? "one" : fmt::format("{}", n),
                      on > 0 ? "further on" : "before"),
          n == 1 ? 0 : 1);
  }
  add_moved([&](std::int64_t code) { return in.qmin + (code - in.qmin + count / 2) % count; },
            "code_other_sign", "the input's highest bit inverted, as of the other signedness", 0);
  add_moved([&](std::int64_t code) { return in.qmax - (code - in.qmin); }, "entries_reversed",
            "the entries in reverse order", 0);
  // Another function of the input.
  Codes other;
  std::int64_t agreeing = 0, mismatches = 0;
  for (auto vote = votes.begin(); vote != votes.end();) {
    const std::int64_t expected = golden_of(vote->code);
    auto most = vote;
    for (const std::int64_t code = vote->code; vote != votes.end() && vote->code == code; ++vote) {
      mismatches += vote->value == expected ? 0 : vote->count;
      if (vote->count > most->count) most = vote;
    }
    if (most->value == expected) continue;
    other[most->code] = most->value;
    agreeing += most->count;
  }
  if (other.empty() || static_cast<double>(agreeing) < kShare * static_cast<double>(mismatches))
    return;
  constexpr std::size_t kListed = 3;
  std::string list;
  std::size_t listed = 0;
  for (const auto& [code, value] : other) {
    if (listed++ == kListed) {
      list += fmt::format(", and {} more", other.size() - kListed);
      break;
    }
    list += fmt::format("{}{} instead of {} for the input {}", list.empty() ? "" : ", ", value,
                        golden_of(code), code);
  }
  const auto freedom = std::ssize(other);
  AddCodes(std::move(other), fmt::format("{}_other_entries", freedom),
           "another function of the input: " + list, 3, freedom);
}

// What the golden operation gives for each code of its input, the least one first.
std::vector<std::int64_t> VariantModel::EveryCode(const std::string& input) const {
  const TensorInfo& info = program_.Tensor(input);
  std::vector<std::int64_t> all;
  FastBackend backend;
  for (std::int64_t next = info.range.qmin; next <= info.range.qmax;) {
    IntTensor tensor(info.dtype, info.shape);
    const std::int64_t first = next;
    std::visit(
        [&](auto& values) {
          for (auto& value : values) {
            value = static_cast<std::decay_t<decltype(value)>>(next);
            next += next < info.range.qmax ? 1 : 0;
          }
        },
        tensor.storage());
    const std::int64_t count =
        std::min<std::int64_t>(ElementCount(info.shape), std::int64_t{info.range.qmax} - first + 1);
    const TensorMap out = Execute(program_, {{input, std::move(tensor)}}, 0, backend);
    const std::vector<std::int32_t> results = Int32Of(out.at(OutputOf(program_.ops.front())));
    all.insert(all.end(), results.begin(), results.begin() + count);
    next = first + count;
  }
  return all;
}

void VariantModel::AddCodes(Codes codes, std::string id, std::string phrase, int cost,
                            std::int64_t freedom) {
  Add("steps", {Change::What::kCodes, "", std::ssize(codes_)}, std::move(id), std::move(phrase),
      cost, freedom);
  codes_.push_back(std::move(codes));
}

std::vector<std::int64_t> VariantModel::WithCodes(const Codes& codes) const {
  std::vector<std::int64_t> out = golden();
  const std::string name = InputOfFunction(program_.ops.front());
  std::size_t e = 0;
  for (const TensorMap& image : inputs_) {
    for (const std::int32_t code : Int32Of(image.at(name))) {
      const auto found = codes.find(code);
      if (found != codes.end()) out[e] = found->second;
      ++e;
    }
  }
  return out;
}

// A list with one entry for each channel, of another channel; "": all such lists.
void VariantModel::AddLists() {
  constexpr std::int64_t kMostWork = std::int64_t{1} << 23;
  struct List {
    std::string name, words;
    std::int64_t size = 0;
    Axis axis = Axis::kChannel;
  };
  std::vector<List> lists;
  const auto note = [&]<typename T>(const Field& field, const T& member) {
    if constexpr (kIsVector<T>) {
      if constexpr (!kIsVectorOfVariants<T>) {
        if (field.axis != Axis::kChannel && field.axis != Axis::kHead) return;
        const auto first = member.begin();
        if (std::all_of(member.begin(), member.end(), [&](const auto& m) { return m == *first; }))
          return;
        std::string words(field.name);
        std::replace(words.begin(), words.end(), '_', ' ');
        lists.push_back({std::string(field.name), words, std::ssize(member), field.axis});
      }
    }
  };
  const Op& op = program_.ops.front();
  std::visit(
      [&](const auto& o) {
        ForEachField(o, note);
        ForEachParameter(o, note);
      },
      op);
  const bool same_size = std::all_of(lists.begin(), lists.end(), [&](const List& list) {
    return list.size == lists.front().size;
  });
  if (lists.size() > 1 && same_size)
    lists.push_back({"", "parameters", lists.front().size, lists.front().axis});
  // Of the image with the most mismatches: what gains there.
  const std::size_t per_image = golden().size() / inputs_.size();
  std::pair<std::int64_t, std::size_t> worst = {0, 0};
  for (std::size_t image = 0; image < inputs_.size(); ++image) {
    std::int64_t count = 0;
    for (std::size_t e = image * per_image; e < (image + 1) * per_image; ++e)
      count += golden()[e] != actual()[e] ? 1 : 0;
    worst = std::max(worst, {count, image});
  }
  if (worst.first == 0) return;
  for (const List& list : lists) {
    std::vector<std::int64_t> steps;
    for (std::int64_t n = 1; n <= list.size / 2; ++n)
      if ((n & (n - 1)) == 0 || n * std::ssize(golden()) < kMostWork) steps.push_back(n);
    for (const std::int64_t n : steps) {
      for (const std::int64_t on : {n, -n}) {
        if (2 * n == list.size && on < 0) continue;
        const Change change = {Change::What::kRotate, list.name, on};
        if (GainInImage(change, worst.second) * 10 < worst.first) continue;
        const std::string_view channel = Name(list.axis);
        const char* side = on > 0 ? "next" : "previous";
        Add("parameters", change,
            fmt::format("{}_rotated_{}", list.name.empty() ? "all" : list.name, on),
            n == 1 ? fmt::format("the {} of the {} {}", list.words, side, channel)
                   : fmt::format("the {} of the {} {} {}", list.words, channel, n,
                                 on > 0 ? "further on" : "before"),
            3, n == 1 ? 0 : 1);
      }
    }
  }
}

// Rows of a constant, as positions, at another place.
void VariantModel::AddRows() {
  const auto* embed = std::get_if<EmbedOp>(&program_.ops.front());
  if (embed == nullptr) return;
  const std::int64_t rows = program_.Constant(embed->position).shape().front();
  for (const std::int64_t n : {1, -1, 2, -2, 3, -3}) {
    if (std::abs(n) >= rows) continue;
    Add("parameters", {Change::What::kRows, embed->position, n},
        fmt::format("positions_late_{}", n),
        fmt::format("the positions {} {}",
                    std::abs(n) == 1 ? "one row" : fmt::format("{} rows", std::abs(n)),
                    n > 0 ? "late" : "early"),
        3);
  }
  Add("parameters", {Change::What::kRows, embed->position, rows}, "positions_of_first",
      "the first row's position at every row", 3);
}

std::int64_t VariantModel::GainInImage(const Change& change, std::size_t image) const {
  Program program = program_;
  Apply(change, program);
  const std::size_t first = golden().size() / inputs_.size() * image;
  std::int64_t gain = 0;
  try {
    const std::vector<std::int64_t> out = RunImage(program, image);
    for (std::size_t e = 0; e < out.size(); ++e) {
      const std::int64_t expected = golden()[first + e], is = actual()[first + e];
      gain += (out[e] == is ? 1 : 0) - (expected == is ? 1 : 0);
    }
  } catch (const std::invalid_argument&) {  // as in Compute
  } catch (const ProgramError&) {
  }
  return gain;
}

}  // namespace qsim::explain
