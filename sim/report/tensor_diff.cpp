#include "sim/report/tensor_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <variant>

#include "golden/ops/int128.h"
#include "sim/error.h"
#include "sim/io/tensors/memh.h"
#include "sim/io/tensors/npy.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

namespace fs = std::filesystem;

// A tensor file as it was read: what is compared, and how to print it.
struct Loaded {
  AnyTensor tensor;
  std::string dtype;
  int bits = 32;
  const Shape& shape() const {
    if (const auto* ints = std::get_if<IntTensor>(&tensor)) return ints->shape();
    return std::get<FloatTensor>(tensor).shape;
  }
};

bool IsTensorFile(const fs::path& path) {
  return path.extension() == ".npy" || path.extension() == ".memh";
}

Loaded Load(const fs::path& path) {
  if (path.extension() == ".memh") {
    Memh memh = ReadMemh(path);
    const std::string dtype = fmt::format("{}int{}", memh.is_signed ? "" : "u", memh.bits);
    return {std::move(memh.tensor), dtype, memh.bits};
  }
  if (path.extension() != ".npy")
    throw InputError(path.string() + ": not a tensor file; diff reads .npy and .memh");
  AnyTensor tensor = ReadNpy(path);
  if (const auto* ints = std::get_if<IntTensor>(&tensor)) {
    const DType dtype = ints->dtype();
    return {std::move(tensor), std::string(Name(dtype)), BitsOf(dtype)};
  }
  return {std::move(tensor), "float32", 32};
}

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

TensorDiff ComparePair(const std::string& name, const fs::path& a_path, const fs::path& b_path) {
  const Loaded a = Load(a_path);
  const Loaded b = Load(b_path);
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
  if (a.dtype != b.dtype) {
    diff.kind = TensorDiff::Kind::kDtype;
    return diff;
  }
  diff.elements = ElementCount(diff.a_shape);
  if (const auto* ints = std::get_if<IntTensor>(&a.tensor)) {
    CompareInts(*ints, std::get<IntTensor>(b.tensor), a.bits, diff);
  } else {
    CompareFloats(std::get<FloatTensor>(a.tensor), std::get<FloatTensor>(b.tensor), diff);
  }
  if (diff.differing != 0) diff.kind = TensorDiff::Kind::kValues;
  return diff;
}

// Also reads the file: a corrupt one is named whether or not it has a partner.
TensorDiff OneSided(const std::string& name, const fs::path& path, TensorDiff::Kind kind) {
  const Loaded loaded = Load(path);
  TensorDiff diff;
  diff.kind = kind;
  diff.name = name;
  const bool in_a = kind == TensorDiff::Kind::kOnlyInA;
  (in_a ? diff.a_dtype : diff.b_dtype) = loaded.dtype;
  (in_a ? diff.a_shape : diff.b_shape) = loaded.shape();
  return diff;
}

std::set<std::string> TensorFilesIn(const fs::path& directory) {
  std::set<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator at(directory, error);
  while (!error && at != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    if (IsTensorFile(at->path()) && !at->is_directory(ignored))
      names.insert(at->path().lexically_relative(directory).generic_string());
    at.increment(error);
  }
  if (error)
    throw InputError(fmt::format("{}: cannot be listed: {}", directory.string(), error.message()));
  return names;
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
    const std::set<std::string> in_a = TensorFilesIn(a);
    const std::set<std::string> in_b = TensorFilesIn(b);
    std::set<std::string> names = in_a;
    names.insert(in_b.begin(), in_b.end());
    if (names.empty())
      throw InputError(
          fmt::format("neither {} nor {} holds a tensor (.npy or .memh); "
                      "there is nothing to compare",
                      result.a, result.b));
    for (const std::string& name : names) {
      if (!in_b.contains(name)) {
        result.tensors.push_back(OneSided(name, a / name, TensorDiff::Kind::kOnlyInA));
      } else if (!in_a.contains(name)) {
        result.tensors.push_back(OneSided(name, b / name, TensorDiff::Kind::kOnlyInB));
      } else {
        result.tensors.push_back(ComparePair(name, a / name, b / name));
      }
    }
  }
  for (const TensorDiff& diff : result.tensors) result.elements += diff.elements;
  return result;
}

}  // namespace qsim::report
