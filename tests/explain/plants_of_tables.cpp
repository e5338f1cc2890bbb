// Functions of single elements whose entries are others, and constants at other rows.
#include <fmt/format.h>

#include <algorithm>

#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

// A table of 8 bits with the entry of another code, or with some entries of its own.
Plant Table(SeededRandom& random,
            const std::function<std::vector<std::string>(SeededRandom&,
                                                         std::vector<std::int32_t>&)>& change) {
  const Shape shape = {random.Between(12, 40), random.Between(9, 40)};
  TableOp op;
  op.output = "y";
  op.input = "x";
  std::int64_t entry = -128;
  for (int code = 0; code < 256; ++code) {
    entry = std::min<std::int64_t>(entry + random.Between(0, 2), 127);
    op.table.push_back(static_cast<std::int32_t>(entry));
  }
  Program program;
  program.tensors = {{"x", shape, DType::kInt8, {-128, 127}},
                     {"y", shape, DType::kInt8, {-128, 127}}};
  program.inputs = {"x"};
  program.ops = {op};
  Validate(program);
  std::vector<std::int32_t> table = op.table;
  const std::vector<std::string> right = change(random, table);
  std::vector<std::int8_t> x;
  std::vector<std::int64_t> actual;
  for (std::int64_t i = 0; i < shape[0] * shape[1]; ++i) {
    x.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
    actual.push_back(table[static_cast<std::size_t>(x.back() + 128)]);
  }
  return ExplainOutputs(program, {{{"x", IntTensor(shape, x)}}}, actual, right,
                        fmt::format("{} x {}", shape[0], shape[1]));
}

// Positions of other rows.
Plant Positions(SeededRandom& random) {
  const std::int64_t patches = random.Between(9, 30), channels = random.Between(9, 30);
  const std::int64_t late = (random.Between(0, 1) == 0 ? 1 : -1) * random.Between(1, 2);
  EmbedOp op;
  op.output = "y";
  op.a = "a";
  op.position = "p";
  op.a_multiplier = {static_cast<std::int32_t>(random.Between(20000, 40000))};
  op.b_multiplier = 1 << 14;
  op.shift = 15;
  Program program;
  program.tensors = {{"a", {patches, channels}, DType::kInt32, {INT32_MIN, INT32_MAX}},
                     {"y", {patches + 1, channels}, DType::kInt16, {-32768, 32767}}};
  program.inputs = {"a"};
  std::vector<std::int32_t> a, position;
  for (std::int64_t i = 0; i < patches * channels; ++i)
    a.push_back(static_cast<std::int32_t>(random.Between(-9000, 9000)));
  for (std::int64_t i = 0; i < (patches + 1) * channels; ++i)
    position.push_back(static_cast<std::int32_t>(random.Between(-9000, 9000)));
  program.constants.emplace("p", IntTensor({patches + 1, channels}, position));
  program.ops = {op};
  Validate(program);
  std::vector<std::int64_t> actual;
  for (std::int64_t row = 0; row <= patches; ++row) {
    const std::int64_t from = row - late < 0 || row - late > patches ? row : row - late;
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t p = position[static_cast<std::size_t>(from * channels + c)];
      if (row == 0) {
        actual.push_back(p);
        continue;
      }
      const std::int64_t sum =
          a[static_cast<std::size_t>((row - 1) * channels + c)] * std::int64_t{op.a_multiplier[0]} +
          p * op.b_multiplier;
      actual.push_back(std::clamp<std::int64_t>((sum + (1 << 14)) >> 15, -32768, 32767));
    }
  }
  const char* rows = late == 1 || late == -1 ? "one row" : "2 rows";
  return ExplainOutputs(program, {{{"a", IntTensor({patches, channels}, a)}}}, actual,
                        {fmt::format("the positions {} {}", rows, late > 0 ? "late" : "early")},
                        fmt::format("{} x {}, {} late", patches, channels, late));
}

}  // namespace

std::vector<Kind> TableKinds() {
  return {
      {"EntryOfAnotherCode",
       [](SeededRandom& random) {
         return Table(random, [](SeededRandom& r, std::vector<std::int32_t>& table) {
           const std::int64_t on = (r.Between(0, 1) == 0 ? 1 : -1) * r.Between(1, 5);
           const std::vector<std::int32_t> own = table;
           for (std::int64_t code = 0; code < 256; ++code)
             table[static_cast<std::size_t>(code)] =
                 own[static_cast<std::size_t>(std::clamp<std::int64_t>(code + on, 0, 255))];
           const std::int64_t n = std::abs(on);
           return std::vector<std::string>{fmt::format("the entry of the code {} {}",
                                                       n == 1 ? "one" : fmt::format("{}", n),
                                                       on > 0 ? "further on" : "before")};
         });
       }},
      {"CodeOfTheOtherSign",
       [](SeededRandom& random) {
         return Table(random, [](SeededRandom&, std::vector<std::int32_t>& table) {
           std::rotate(table.begin(), table.begin() + 128, table.end());
           return std::vector<std::string>{"the input's highest bit inverted"};
         });
       }},
      {"SomeEntries",
       [](SeededRandom& random) {
         return Table(random, [](SeededRandom& r, std::vector<std::int32_t>& table) {
           const std::int64_t code = r.Between(0, 250);
           const std::int64_t last = code + r.Between(0, 4);
           // The first one that occurs.
           std::vector<std::string> right;
           for (std::int64_t c = code; c <= last; ++c) {
             std::int32_t& entry = table[static_cast<std::size_t>(c)];
             const std::int32_t own = entry;
             entry += entry > 0 ? -40 : 40;
             right.push_back(
                 fmt::format("another function of the input: {} instead of {} for the input {}",
                             entry, own, c - 128));
           }
           return right;
         });
       }},
      {"Positions", Positions},
  };
}

}  // namespace qsim::testing
