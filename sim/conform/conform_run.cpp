#include "sim/conform/conform_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "golden/program/program.h"
#include "sim/conform/algorithms.h"
#include "sim/error.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::conform {
namespace {

namespace fs = std::filesystem;

constexpr double kRelativeScale = 1e-12;

const Shape& ShapeOf(const ExactTensor& tensor) {
  if (const auto* integers = std::get_if<IntTensor>(&tensor)) return integers->shape();
  return std::get<DoubleTensor>(tensor).shape;
}

// Whether one element agrees; otherwise *text says how it differs.
bool Agrees(const ExactTensor& computed, const ExactTensor& expected, std::int64_t element,
            std::string* text) {
  if (const auto* integers = std::get_if<IntTensor>(&expected)) {
    const std::int64_t want = integers->At(element);
    const std::int64_t have = std::get<IntTensor>(computed).At(element);
    if (have != want) *text = fmt::format("{}, expected {}", have, want);
    return have == want;
  }
  const auto i = static_cast<std::size_t>(element);
  const double want = std::get<DoubleTensor>(expected).data[i];
  const double have = std::get<DoubleTensor>(computed).data[i];
  const bool agrees = std::abs(have - want) <= kRelativeScale * std::abs(want);
  if (!agrees) *text = fmt::format("{}, expected {}", have, want);
  return agrees;
}

std::string CaseName(const ConformCase& c) {
  return fmt::format("{}/{}/{}", c.op(), c.algorithm(), c.dir().filename().string());
}

// What the golden operations reject in a case is the case's fault: they state their domain.
template <typename Function>
auto RejectingWith(const ConformCase& c, Function run) {
  try {
    return run();
  } catch (const std::invalid_argument& error) {
    c.Reject(fmt::format("outside the domain of {}: {}", c.algorithm(), error.what()));
  } catch (const ProgramError& error) {
    c.Reject(error.what());
  } catch (const nlohmann::json::exception& error) {
    c.Reject(fmt::format("a parameter of {} has another type: {}", c.algorithm(), error.what()));
  }
}

void RunCase(const ConformCase& c, const ConformAlgorithm& algorithm, Backend* rtl,
             ConformRow& row) {
  row.golden += RejectingWith(c, [&] { return CompareOutputs(c, algorithm.golden(c)); });
  if (algorithm.rtl == nullptr || rtl == nullptr) return;
  row.has_rtl = true;
  const auto computed = RejectingWith(c, [&] { return algorithm.rtl(c, *rtl); });
  if (computed) row.rtl += CompareOutputs(c, *computed);
}

bool Selected(const ConformCase& c, const std::string& only) {
  return only.empty() || only == c.op() || only == c.op() + "/" + c.algorithm();
}

}  // namespace

ConformCount& ConformCount::operator+=(const ConformCount& other) {
  cases += other.cases;
  elements += other.elements;
  mismatches += other.mismatches;
  if (first_mismatch.empty()) first_mismatch = other.first_mismatch;
  return *this;
}

ConformRow ConformReport::Total() const {
  ConformRow total;
  for (const ConformRow& row : rows) {
    total.supported = total.supported && row.supported;
    total.has_rtl = total.has_rtl || row.has_rtl;
    total.cases += row.cases;
    total.golden += row.golden;
    total.rtl += row.rtl;
  }
  return total;
}

ConformCount CompareOutputs(const ConformCase& c, const CaseTensors& computed) {
  ConformCount count;
  count.cases = 1;
  for (const auto& [name, expected] : c.outputs()) {
    const auto found = computed.find(name);
    if (found == computed.end() || found->second.index() != expected.index()) {
      c.Reject(fmt::format("{} does not compute an output '{}' of this type", c.algorithm(),
                           Printable(name)));
    }
    const Shape& shape = ShapeOf(expected);
    const std::int64_t elements = ElementCount(shape);
    count.elements += elements;
    const auto mismatch = [&](const std::string& what) {
      if (count.mismatches++ == 0) count.first_mismatch = fmt::format("{} {}", CaseName(c), what);
    };
    if (ShapeOf(found->second) != shape) {
      mismatch(fmt::format("{}: shape {}, expected {}", name, FormatShape(ShapeOf(found->second)),
                           FormatShape(shape)));
      continue;
    }
    std::string text;
    for (std::int64_t i = 0; i < elements; ++i) {
      if (!Agrees(found->second, expected, i, &text)) {
        mismatch(fmt::format("{}{}: {}", name, FormatIndex(shape, i), text));
      }
    }
  }
  return count;
}

std::vector<fs::path> FindConformCases(const fs::path& root) {
  if (!fs::is_directory(root)) {
    throw InputError(
        fmt::format("{}: not a directory; expected a folder of conformance cases", root.string()));
  }
  std::vector<fs::path> dirs;
  if (fs::exists(root / "case.json")) dirs.push_back(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory() && fs::exists(entry.path() / "case.json")) {
      dirs.push_back(entry.path());
    }
  }
  if (dirs.empty()) {
    throw InputError(fmt::format(
        "{}: no case.json at or below it; expected op/algorithm/case/case.json", root.string()));
  }
  std::sort(dirs.begin(), dirs.end());
  return dirs;
}

ConformReport RunConform(const fs::path& root, const std::string& only, Backend* rtl) {
  ConformReport report;
  report.root = root;
  report.rtl_used = rtl != nullptr;
  std::map<std::pair<std::string, std::string>, ConformRow> rows;
  std::vector<std::string> names;
  for (const fs::path& dir : FindConformCases(root)) {
    try {
      const ConformCase c = ConformCase::Load(dir);
      names.push_back(c.op());
      names.push_back(c.op() + "/" + c.algorithm());
      if (!Selected(c, only)) continue;
      ConformRow& row = rows[{c.op(), c.algorithm()}];
      row.op = c.op();
      row.algorithm = c.algorithm();
      ++row.cases;
      const ConformAlgorithm* algorithm = FindConformAlgorithm(c.op(), c.algorithm());
      row.supported = algorithm != nullptr;
      if (row.supported) RunCase(c, *algorithm, rtl, row);
    } catch (const InputError& error) {
      report.errors.emplace_back(error.what());
    }
  }
  for (auto& [key, row] : rows) report.rows.push_back(std::move(row));
  if (report.rows.empty() && report.errors.empty()) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    throw InputError(fmt::format("--only '{}': no such case in {}; {}", Printable(only),
                                 root.string(), SuggestWord(only, names)));
  }
  return report;
}

}  // namespace qsim::conform
