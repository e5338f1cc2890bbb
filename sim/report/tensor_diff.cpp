#include "sim/report/tensor_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <variant>

#include "golden/ops/int128.h"
#include "sim/error.h"
#include "sim/io/tensors/tensor_file.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

namespace fs = std::filesystem;

std::vector<std::int64_t> IndexOf(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return index;
}

// b - a, saturated: int64 tensors can be further apart than int64 reaches.
std::int64_t Difference(std::int64_t a, std::int64_t b) {
  const Int128 difference = Int128{b} - Int128{a};
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (difference > kMax) return kMax;
  if (difference < -Int128{kMax}) return -kMax;
  return static_cast<std::int64_t>(difference);
}

// The bin of a magnitude: itself up to 3, then [4, 7], [8, 15], ...
HistogramBin MagnitudeBin(std::int64_t magnitude) {
  if (magnitude <= 3) return {magnitude, magnitude, 0};
  const std::uint64_t low = std::bit_floor(static_cast<std::uint64_t>(magnitude));
  return {static_cast<std::int64_t>(low), static_cast<std::int64_t>(low - 1 + low), 0};
}

class Histogram {
 public:
  void Add(std::int64_t difference) {
    HistogramBin bin = MagnitudeBin(difference < 0 ? -difference : difference);
    if (difference < 0) bin = {-bin.high, -bin.low, 0};
    HistogramBin& counted = bins_.try_emplace(bin.low, bin).first->second;
    ++counted.count;
  }
  std::vector<HistogramBin> Take() const {
    std::vector<HistogramBin> list;
    for (const auto& [low, bin] : bins_) list.push_back(bin);
    return list;
  }

 private:
  std::map<std::int64_t, HistogramBin> bins_;
};

void CompareInts(const IntTensor& a, const IntTensor& b, int bits, TensorDiff& diff) {
  Histogram histogram;
  for (std::int64_t i = 0; i < diff.elements; ++i) {
    const std::int64_t x = a.At(i);
    const std::int64_t y = b.At(i);
    if (x == y) continue;
    if (diff.differing++ == 0)
      diff.first = {IndexOf(i, diff.a_shape), fmt::format("{}", x), fmt::format("{}", y),
                    HexText(x, bits), HexText(y, bits)};
    histogram.Add(Difference(x, y));
  }
  diff.histogram = histogram.Take();
}

// Bit for bit: -0 differs from 0, and nothing is close enough.
void CompareFloats(const FloatTensor& a, const FloatTensor& b, TensorDiff& diff) {
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    const std::uint32_t x = std::bit_cast<std::uint32_t>(a.data[i]);
    const std::uint32_t y = std::bit_cast<std::uint32_t>(b.data[i]);
    if (x == y) continue;
    if (diff.differing++ == 0)
      diff.first = {IndexOf(static_cast<std::int64_t>(i), diff.a_shape),
                    fmt::format("{:.9g}", a.data[i]), fmt::format("{:.9g}", b.data[i]),
                    HexText(x, 32), HexText(y, 32)};
  }
}

// Whether two files may hold the same tensor. A memory file states no storage type, and without a
// sidecar no width either.
bool SameType(const TensorFile& a, const TensorFile& b) {
  const auto* x = std::get_if<IntTensor>(&a.tensor);
  const auto* y = std::get_if<IntTensor>(&b.tensor);
  if (x == nullptr || y == nullptr) return x == y;
  if (!a.is_stated || !b.is_stated || a.dtype == b.dtype) return true;
  if (a.is_words == b.is_words) return false;
  const TensorFile& words = a.is_words ? a : b;
  const TensorFile& array = a.is_words ? b : a;
  return x->dtype() == y->dtype() || (a.is_signed == b.is_signed && words.bits <= array.bits);
}

TensorDiff ComparePair(const std::string& name, const fs::path& a_path, const fs::path& b_path) {
  const TensorFile a = ReadTensorFile(a_path, StatedForm(b_path));
  const TensorFile b = ReadTensorFile(b_path, StatedForm(a_path));
  TensorDiff diff;
  diff.name = name;
  diff.a_dtype = a.dtype;
  diff.b_dtype = b.dtype;
  diff.a_shape = a.shape();
  diff.b_shape = b.shape();
  if (diff.a_shape != diff.b_shape) {
    diff.kind = TensorDiff::Kind::kShape;
    return diff;
  }
  if (!SameType(a, b)) {
    diff.kind = TensorDiff::Kind::kDtype;
    return diff;
  }
  diff.elements = ElementCount(diff.a_shape);
  if (const auto* ints = std::get_if<IntTensor>(&a.tensor)) {
    CompareInts(*ints, std::get<IntTensor>(b.tensor), std::max(a.bits, b.bits), diff);
  } else {
    CompareFloats(std::get<FloatTensor>(a.tensor), std::get<FloatTensor>(b.tensor), diff);
  }
  if (diff.differing != 0) diff.kind = TensorDiff::Kind::kValues;
  return diff;
}

// Also reads the file: a corrupt one is named whether or not it has a partner.
TensorDiff OneSided(const std::string& name, const fs::path& path, TensorDiff::Kind kind) {
  const TensorFile loaded = ReadTensorFile(path);
  TensorDiff diff;
  diff.kind = kind;
  diff.name = name;
  const bool in_a = kind == TensorDiff::Kind::kOnlyInA;
  (in_a ? diff.a_dtype : diff.b_dtype) = loaded.dtype;
  (in_a ? diff.a_shape : diff.b_shape) = loaded.shape();
  return diff;
}

// Names of files, by what they are called without their ending.
using TensorNames = std::map<std::string, std::vector<std::string>>;

TensorNames TensorFilesIn(const fs::path& directory) {
  TensorNames names;
  std::error_code error;
  fs::recursive_directory_iterator at(directory, error);
  while (!error && at != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    if (IsTensorFile(at->path()) && !at->is_directory(ignored)) {
      const fs::path name = at->path().lexically_relative(directory);
      names[fs::path(name).replace_extension().generic_string()].push_back(name.generic_string());
    }
    at.increment(error);
  }
  if (error)
    throw InputError(fmt::format("{}: cannot be listed: {}", directory.string(), error.message()));
  for (auto& [tensor, files] : names) std::sort(files.begin(), files.end());
  return names;
}

// The file to compare `name` with: of the same name, else the first.
const std::string& PartnerOf(const std::string& name, const std::vector<std::string>& files) {
  const auto same = std::find(files.begin(), files.end(), name);
  return same == files.end() ? files.front() : *same;
}

// Every file of either directory at least once, in the order of tensors.
void CompareDirectories(const fs::path& a, const fs::path& b, std::vector<TensorDiff>& diffs) {
  TensorNames in_a = TensorFilesIn(a);
  TensorNames in_b = TensorFilesIn(b);
  const auto drop = [](TensorNames& names, const TensorNames& others) {
    std::erase_if(names, [&](const auto& entry) {
      return !others.contains(entry.first) &&
             std::all_of(entry.second.begin(), entry.second.end(),
                         [](const std::string& file) { return MayBeSomethingElse(file); });
    });
  };
  drop(in_a, in_b);
  drop(in_b, in_a);
  std::set<std::string> tensors;
  for (const auto& names : {std::cref(in_a), std::cref(in_b)}) {
    for (const auto& [tensor, files] : names.get()) tensors.insert(tensor);
  }
  for (const std::string& tensor : tensors) {
    const std::vector<std::string>& a_files = in_a[tensor];
    const std::vector<std::string>& b_files = in_b[tensor];
    std::set<std::string> compared;  // of b's
    for (const std::string& file : a_files) {
      if (b_files.empty()) {
        diffs.push_back(OneSided(file, a / file, TensorDiff::Kind::kOnlyInA));
        continue;
      }
      const std::string& partner = PartnerOf(file, b_files);
      diffs.push_back(ComparePair(file, a / file, b / partner));
      compared.insert(partner);
    }
    for (const std::string& file : b_files) {
      if (compared.contains(file)) continue;
      diffs.push_back(a_files.empty() ? OneSided(file, b / file, TensorDiff::Kind::kOnlyInB)
                                      : ComparePair(file, a / PartnerOf(file, a_files), b / file));
    }
  }
}

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    throw InputError(fmt::format("{}: cannot be compared: {}", path.string(),
                                 error ? error.message() : "no such file or directory"));
  return fs::is_directory(status);
}

}  // namespace

std::int64_t DiffResult::compared() const {
  return std::count_if(tensors.begin(), tensors.end(), [](const TensorDiff& diff) {
    return diff.kind != TensorDiff::Kind::kOnlyInA && diff.kind != TensorDiff::Kind::kOnlyInB;
  });
}

std::int64_t DiffResult::differing() const {
  return std::count_if(tensors.begin(), tensors.end(), [](const TensorDiff& diff) {
    return diff.kind != TensorDiff::Kind::kEqual;
  });
}

namespace {

// The contract of a directory of tensors: within it, or beside it as in a run's output.
std::optional<ModelContracts> ContractsOf(const fs::path& directory) {
  const fs::path absolute = fs::absolute(directory / ".").lexically_normal().parent_path();
  for (const fs::path& place : {absolute, absolute.parent_path()}) {
    if (fs::is_regular_file(place / kContractFile)) return ReadContractsYaml(place / kContractFile);
  }
  return std::nullopt;
}

void CompareContractsOf(const fs::path& a, const fs::path& b, DiffResult& result) {
  const auto of_a = ContractsOf(a);
  const auto of_b = ContractsOf(b);
  if (!of_a || !of_b) return;
  result.a_contract = of_a->Label();
  result.b_contract = of_b->Label();
  result.contracts = CompareContracts(*of_a, *of_b);
}

}  // namespace

DiffResult DiffPaths(const fs::path& a, const fs::path& b) {
  DiffResult result;
  result.a = a.string();
  result.b = b.string();
  const bool a_directory = IsDirectory(a);
  if (a_directory != IsDirectory(b))
    throw InputError(fmt::format("{} is a {} and {} is a {}; diff compares two of a kind", result.a,
                                 a_directory ? "directory" : "file", result.b,
                                 a_directory ? "file" : "directory"));
  if (!a_directory) {
    result.tensors.push_back(ComparePair(a.filename().string(), a, b));
  } else {
    CompareContractsOf(a, b, result);
    CompareDirectories(a, b, result.tensors);
    if (result.tensors.empty())
      throw InputError(
          fmt::format("neither {} nor {} holds a tensor (.npy or .memh); "
                      "there is nothing to compare",
                      result.a, result.b));
  }
  for (const TensorDiff& diff : result.tensors) result.elements += diff.elements;
  return result;
}

}  // namespace qsim::report
