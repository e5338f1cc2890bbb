#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "sim/bundle/bundle_records.h"
#include "sim/error.h"
#include "sim/io/files/limits.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::bundle {
namespace bundle_format {
namespace {

namespace fs = std::filesystem;

// Scales are text, one for each channel: 5 MB for ViT-B/16.
constexpr std::uint64_t kLargestBundleYaml = std::uint64_t{1} << 30;
// What a program's tensors may take, by the bytes of its files.
constexpr std::uint64_t kFactor = 64;
constexpr std::uint64_t kSmall = std::uint64_t{1} << 28;
constexpr std::size_t kLongestName = 200;
constexpr QuantRange kWide = {-(1 << 24), 1 << 24};

class Reader {
 public:
  Reader(YamlPtr node, std::string file, std::string where, fs::path root = {},
         std::vector<Rename> renames = {})
      : node_(std::move(node)),
        file_(std::move(file)),
        where_(std::move(where)),
        root_(std::move(root)),
        renames_(std::move(renames)) {
    if (node_->kind != YamlNode::Kind::kMap)
      Fail(node_->line, "must be a map, is " + node_->Describe());
  }

  // Call when every field has been read: what is left is unknown.
  void Finish() const {
    for (const YamlEntry& entry : node_->entries) {
      const auto is_gone = [&](const Rename& r) { return r.from == entry.key && r.to.empty(); };
      if (std::any_of(renames_.begin(), renames_.end(), is_gone)) continue;
      if (std::find(known_.begin(), known_.end(), entry.key) == known_.end()) {
        Fail(entry.line, fmt::format("unknown key '{}'; {}", Printable(entry.key),
                                     SuggestWord(entry.key, known_)));
      }
    }
  }

  template <typename T>
  void Scalar(std::string_view key, T& value) {
    Parse(key, *Get(key, YamlNode::Kind::kScalar, "a value"), value);
  }
  // Whether an optional value is absent, which means T{}.
  template <typename T>
  bool Skips(bool optional, std::string_view key, T& value) {
    if (!optional || node_->Find(std::string(Stored(key)))) return false;
    known_.emplace_back(key);
    value = T{};
    return true;
  }
  template <typename Variant>
  void Algorithm(std::string_view key, Variant& algorithm) {
    std::string name;
    Scalar(key, name);
    const std::optional<std::size_t> index = AlgorithmNamed<Variant>(name);
    if (!index)
      Fail(node_->line, fmt::format("'{}' has an unknown value '{}'", key, Printable(name)));
    algorithm = Alternative<Variant>(*index);
  }
  // A plain number is what format 1 has for all heads.
  void Column(std::string_view key, std::vector<std::int64_t>& values, bool /*whole*/) {
    const YamlPtr value = Find(key);
    if (value->kind == YamlNode::Kind::kScalar && !value->scalar.starts_with(kArrays)) {
      values.assign(1, 0);
      Parse(key, *value, values.front());
    } else {
      Array(key, values);
    }
  }
  void Constant(std::string_view key, const char* expected) {
    std::string value;
    Scalar(key, value);
    if (value != expected)
      Fail(node_->line, fmt::format("'{}' is '{}', must be '{}'", key, Printable(value), expected));
  }
  template <typename T>
  void List(std::string_view key, std::vector<T>& values) {
    const YamlPtr list = Get(key, YamlNode::Kind::kSequence, "a list");
    values.clear();
    for (const YamlPtr& item : list->items) {
      if (item->kind != YamlNode::Kind::kScalar)
        Fail(item->line, fmt::format("'{}' must hold numbers", key));
      T value{};
      try {
        Parse(key, *item, value);
      } catch (const InputError&) {
        Parse(fmt::format("{}[{}]", key, values.size()), *item, value);
      }
      values.push_back(value);
    }
  }
  template <typename T>
  void Array(std::string_view key, std::vector<T>& values) {
    const YamlPtr value = Find(key);
    if (value->kind == YamlNode::Kind::kSequence) {
      List(key, values);
      return;
    }
    std::string file;
    Scalar(key, file);
    if (file.find("..") != std::string::npos || !file.starts_with(kArrays)) {
      Fail(value->line, fmt::format("'{}' must name a file in {}/", key, kArrays));
    }
    const IntTensor tensor = ReadIntNpy(InputFile(root_, file));
    const auto* stored = std::get_if<std::vector<T>>(&tensor.storage());
    if (stored == nullptr || tensor.shape().size() != 1) {
      throw InputError(fmt::format("{}: must be a one-dimensional array of int{}",
                                   (root_ / file).string(), 8 * sizeof(T)));
    }
    values = *stored;
  }
  void CheckSameLength(std::string_view a, std::size_t a_size, std::string_view b,
                       std::size_t b_size) const {
    if (a_size != b_size) {
      Fail(node_->line, fmt::format("'{}' has {} entries, '{}' has {}", a, a_size, b, b_size));
    }
  }
  template <typename T>
  T Narrow(std::string_view key, std::int64_t value) const {
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
      Fail(node_->line, fmt::format("'{}' holds {}, out of range", key, value));
    }
    return static_cast<T>(value);
  }
  YamlPtr Get(std::string_view key, YamlNode::Kind kind, const char* expected) {
    const YamlPtr value = Find(key);
    if (value->kind != kind) {
      Fail(value->line, fmt::format("'{}' must be {}, is {}", key, expected, value->Describe()));
    }
    return value;
  }
  [[noreturn]] void Fail(int line, const std::string& what) const {
    throw InputError(
        fmt::format("{}:{}: {}{}", file_, line, where_.empty() ? "" : where_ + ": ", what));
  }

 private:
  // What the file calls this parameter.
  std::string_view Stored(std::string_view key) const {
    const auto rename = std::find_if(renames_.begin(), renames_.end(),
                                     [&](const Rename& r) { return r.to == key; });
    return rename == renames_.end() ? key : rename->from;
  }
  YamlPtr Find(std::string_view key) {
    const std::string stored(Stored(key));
    known_.push_back(stored);
    const YamlPtr value = node_->Find(stored);
    if (!value) Fail(node_->line, fmt::format("'{}' is missing", stored));
    return value;
  }

  void Parse(std::string_view, const YamlNode& node, std::string& value) const {
    value = node.scalar;
  }
  void Parse(std::string_view key, const YamlNode& node, bool& value) const {
    if (node.scalar != "true" && node.scalar != "false") {
      Fail(node.line,
           fmt::format("'{}' must be true or false, is '{}'", key, Printable(node.scalar)));
    }
    value = node.scalar == "true";
  }
  template <typename T>
  void Parse(std::string_view key, const YamlNode& node, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      const auto parsed = FromName<T>(node.scalar);
      if (!parsed)
        Fail(node.line, fmt::format("'{}' has an unknown value '{}'", key, Printable(node.scalar)));
      value = *parsed;
    } else {
      const auto parsed = ParseNumber<T>(node.scalar);
      if (!parsed) {
        Fail(node.line, fmt::format("'{}' must be {}, is '{}'", key,
                                    std::is_integral_v<T> ? "an integer in range" : "a number",
                                    Printable(node.scalar)));
      }
      value = *parsed;
    }
  }

  YamlPtr node_;
  std::string file_;
  std::string where_;
  fs::path root_;
  std::vector<Rename> renames_;
  std::vector<std::string> known_;
};

std::optional<Op> OpFromKind(std::string_view kind) {
  for (std::size_t i = 0; i < std::variant_size_v<Op>; ++i) {
    Op op = Alternative<Op>(i);
    if (KindName(op) == kind) return op;
  }
  return std::nullopt;
}

class BundleReader {
 public:
  explicit BundleReader(fs::path root)
      : root_(std::move(root)), file_((root_ / "program.yaml").string()) {}

  Bundle Read() {
    if (!fs::is_directory(root_)) throw InputError(root_.string() + ": no such bundle directory");
    ReadProgram();
    ReadScales();
    try {
      Validate(bundle_.program);
    } catch (const ProgramError& error) {
      throw InputError(file_ + ": " + error.what());
    }
    CheckScales();
    CheckProgramSize(bundle_.program, kFactor * BytesOnDisk() + kSmall, file_);
    ReadInputs();
    bundle_.contracts = ReadContractsYaml(InputFile(root_, kContractFile));
    return std::move(bundle_);
  }

 private:
  template <typename T>
  void ReadRecord(const YamlPtr& node, const std::string& where, T& record) {
    Reader reader(node, file_, where, root_);
    Describe(reader, record);
    reader.Finish();
  }

  std::vector<std::string> ReadNames(Reader& reader, std::string_view key) const {
    std::vector<std::string> names;
    reader.List(key, names);
    return names;
  }

  void ReadProgram() {
    Reader reader(LoadYaml(InputFile(root_, "program.yaml"), kLargestBundleYaml), file_, "");
    reader.Scalar("format_version", version_);
    if (version_ < 1 || version_ > kFormatVersion) {
      throw InputError(
          fmt::format("{}: format_version {} is not supported, this qsim reads 1 to {}", file_,
                      version_, kFormatVersion));
    }
    ReadRecord(reader.Get("provenance", YamlNode::Kind::kMap, "a map"), "provenance",
               bundle_.provenance);
    ReadRecord(reader.Get("hardware", YamlNode::Kind::kMap, "a map"), "hardware", bundle_.hardware);
    bundle_.program.inputs = ReadNames(reader, "inputs");
    for (const std::string& name : bundle_.program.inputs) CheckFileName(name);
    for (const YamlPtr& node : reader.Get("tensors", YamlNode::Kind::kSequence, "a list")->items) {
      ReadRecord(node, "tensors", bundle_.program.tensors.emplace_back());
      CheckFileName(bundle_.program.tensors.back().name);
    }
    for (const std::string& name : ReadNames(reader, "constants")) {
      CheckFileName(name);
      bundle_.program.constants[name] =
          ReadIntNpy(InputFile(root_, fs::path(kArrays) / (name + ".npy")));
    }
    for (const YamlPtr& node :
         reader.Get("operations", YamlNode::Kind::kSequence, "a list")->items) {
      ReadOp(node);
    }
    if (std::vector<Carried>& carried = bundle_.program.carried;
        !reader.Skips(true, "carried", carried)) {
      for (const YamlPtr& node :
           reader.Get("carried", YamlNode::Kind::kSequence, "a list")->items) {
        const Carried& names = carried.emplace_back();
        ReadRecord(node, "carried", carried.back());
        for (const std::string* name : {&names.output, &names.input, &names.initial})
          CheckFileName(*name);
      }
    }
    for (const YamlPtr& node : reader.Get("notes", YamlNode::Kind::kSequence, "a list")->items) {
      ReadRecord(node, "notes", bundle_.notes.emplace_back());
    }
    reader.Finish();
  }

  void ReadOp(const YamlPtr& node) {
    std::string kind;
    Reader(node, file_, "operation").Scalar("op", kind);
    std::vector<Rename> renames;
    if (version_ == 1) {
      std::copy_if(std::begin(kFormat1), std::end(kFormat1), std::back_inserter(renames),
                   [&](const Rename& r) { return r.operation == kind; });
    }
    Reader reader(node, file_, "operation", root_, std::move(renames));
    reader.Scalar("op", kind);
    std::optional<Op> op = OpFromKind(kind);
    if (!op)
      throw InputError(
          fmt::format("{}:{}: unknown operation '{}'", file_, node->line, Printable(kind)));
    std::visit([&](auto& o) { Describe(reader, o); }, *op);
    reader.Finish();
    for (const auto& names : {InputsOf(*op), ConstantsOf(*op), {OutputOf(*op)}}) {
      for (const std::string& name : names) CheckFileName(name);
    }
    bundle_.program.ops.push_back(std::move(*op));
  }

  // Names become file names, and stand in messages; a bundle must not reach outside its directory.
  void CheckFileName(const std::string& name) const {
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with(".") ||
        name.size() > kLongestName || Escaped(name) != name) {
      throw InputError(fmt::format("{}: '{}' is not a tensor name", file_, Printable(name)));
    }
  }

  void ReadScales() {
    const InputFile file(root_, "scales.yaml");
    const YamlPtr root = LoadYaml(file, kLargestBundleYaml);
    for (const YamlEntry& entry : root->entries) {
      Reader reader(entry.value, file.path().string(), Printable(entry.key));
      Describe(reader, bundle_.scales[entry.key]);
      reader.Finish();
    }
  }

  void CheckScales() const {
    const std::string file = (root_ / "scales.yaml").string();
    for (const TensorInfo& info : bundle_.program.tensors) {
      if (!bundle_.scales.contains(info.name))
        throw InputError(fmt::format("{}: tensor '{}' has no scale", file, Printable(info.name)));
    }
    for (const auto& [name, scale] : bundle_.scales) {
      const auto constant = bundle_.program.constants.find(name);
      const auto info = std::ranges::find(bundle_.program.tensors, name, &TensorInfo::name);
      if (info != bundle_.program.tensors.end()) {
        CheckScale(file, name, scale, info->shape, ZeroPointsOf(info->dtype));
      } else if (constant != bundle_.program.constants.end()) {
        CheckScale(file, name, scale, constant->second.shape(), kWide);
      } else {
        throw InputError(
            fmt::format("{}: '{}' is no tensor of the program", file, Printable(name)));
      }
    }
  }

  // Codes of narrow tensors, in use or not, and one less: fractions (c + 1) / 2^n. Sums have any.
  static QuantRange ZeroPointsOf(DType dtype) {
    const int bits = BitsOf(dtype);
    if (bits > 16) return kWide;
    const std::int32_t codes = 1 << bits;
    return IsSigned(dtype) ? QuantRange{-codes / 2 - 1, codes / 2 - 1} : QuantRange{-1, codes - 1};
  }

  static void CheckScale(const std::string& file, const std::string& name, const TensorScale& s,
                         const Shape& shape, QuantRange range) {
    const auto fail = [&](const std::string& what) {
      throw InputError(fmt::format("{}: tensor '{}'{}", file, Printable(name), what));
    };
    if (shape.empty() && s.axis != ChannelAxis::kNone) fail(" has no channels");
    const std::int64_t channels = s.axis == ChannelAxis::kLast    ? shape.back()
                                  : s.axis == ChannelAxis::kFirst ? shape.front()
                                                                  : 1;
    if (!s.Fits(static_cast<std::size_t>(channels)))
      fail(fmt::format(" needs one scale and zero point, or {}", channels));
    if (!s.factor.empty() && (std::ssize(s.factor) != channels || s.unit.empty() ||
                              s.factor.size() % s.unit.size() != 0))
      fail(fmt::format(" needs {} factors, or none, in as many groups as units", channels));
    for (const auto& [list, what] :
         {std::pair(&s.scale, "scale"), {&s.unit, "unit"}, {&s.factor, "factor"}}) {
      for (std::size_t c = 0; c < list->size(); ++c) {
        // Ratios of scales must not overflow either.
        constexpr double kLeast = 1e-300, kMost = 1e300;
        if (!((*list)[c] >= kLeast && (*list)[c] <= kMost))
          fail(fmt::format(", channel {}: {} is {}, must be positive, {:g} to {:g}", c, what,
                           (*list)[c], kLeast, kMost));
      }
    }
    for (std::size_t c = 0; c < s.zero.size(); ++c) {
      if (s.zero[c] < range.qmin || s.zero[c] > range.qmax)
        fail(fmt::format(", channel {}: zero point {} is outside {}..{}", c, s.zero[c], range.qmin,
                         range.qmax));
    }
  }

  // Of what a bundle's files hold, links not followed.
  std::uint64_t BytesOnDisk() const {
    std::uint64_t bytes = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator at(root_, error), end; !error && at != end;
         at.increment(error)) {
      std::error_code ignored;
      if (at->symlink_status(ignored).type() == fs::file_type::regular) {
        const std::uint64_t size = at->file_size(ignored);
        if (!ignored) bytes += size;
      }
    }
    return bytes;
  }

  void ReadInputs() {
    if (bundle_.program.inputs.empty()) throw InputError(file_ + ": 'inputs' is empty");
    std::int64_t images = -1;
    for (const std::string& name : bundle_.program.inputs) {
      const fs::path path = root_ / kInputs / (name + ".npy");
      IntTensor tensor = ReadProgramInput(InputFile(root_, fs::path(kInputs) / (name + ".npy")),
                                          bundle_.program.Tensor(name));
      if (images >= 0 && images != tensor.shape().front()) {
        throw InputError(path.string() +
                         ": another number of images than the bundle's other inputs");
      }
      images = tensor.shape().front();
      bundle_.inputs[name] = std::move(tensor);
    }
    ReadLengths(images);
  }

  // Of inputs that differ in length; they are filled up to the longest.
  void ReadLengths(std::int64_t images) {
    const fs::path path = root_ / kLengths;
    if (!fs::exists(path)) return;
    const IntTensor lengths = ReadIntNpy(InputFile(root_, kLengths));
    std::int64_t longest = 0;
    for (const auto& [name, tensor] : bundle_.inputs) {
      const Shape& axes = bundle_.program.Tensor(name).length_axes;
      if (!axes.empty()) longest = tensor.shape()[static_cast<std::size_t>(axes[0]) + 1];
    }
    if (lengths.shape() != Shape{images})
      throw InputError(fmt::format("{}: must hold {} lengths", path.string(), images));
    for (std::int64_t i = 0; i < images; ++i) {
      if (lengths.At(i) < 1 || lengths.At(i) > longest) {
        throw InputError(fmt::format("{}: length {} at [{}] is outside 1..{}", path.string(),
                                     lengths.At(i), i, longest));
      }
      bundle_.lengths.push_back(lengths.At(i));
    }
  }

  fs::path root_;
  std::string file_;
  int version_ = 0;
  Bundle bundle_;
};

}  // namespace
}  // namespace bundle_format

IntTensor ReadProgramInput(const std::filesystem::path& file, const TensorInfo& info) {
  return ReadProgramInput(InputFile(file), info);
}

IntTensor ReadProgramInput(InputFile input, const TensorInfo& info) {
  const std::filesystem::path file = input.path();
  IntTensor tensor = ReadIntNpy(std::move(input));
  Shape expected = info.shape;
  std::vector<std::string> axes;
  for (const std::int64_t extent : expected) axes.push_back(std::to_string(extent));
  for (const std::int64_t axis : info.length_axes) {
    const auto a = static_cast<std::size_t>(axis);
    axes[a] = "tokens";
    if (tensor.shape().size() == expected.size() + 1)
      expected[a] = tensor.shape()[static_cast<std::size_t>(info.length_axes[0]) + 1];
  }
  const bool same_shape = tensor.shape().size() == expected.size() + 1 &&
                          std::equal(expected.begin(), expected.end(), tensor.shape().begin() + 1);
  if (!same_shape || tensor.dtype() != info.dtype) {
    throw InputError(fmt::format("{}: must be {} with the shape [{}, {}]", file.string(),
                                 Name(info.dtype), info.length_axes.empty() ? "images" : "inputs",
                                 fmt::join(axes, ", ")));
  }
  if (tensor.size() == 0) throw InputError(file.string() + ": zero images");
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t value = tensor.At(i);
    if (value < info.range.qmin || value > info.range.qmax) {
      throw InputError(fmt::format("{}: element {} is {}, outside the range {}..{} of '{}'",
                                   file.string(), i, value, info.range.qmin, info.range.qmax,
                                   info.name));
    }
  }
  return tensor;
}

void CheckProgramSize(const Program& program, std::uint64_t most, const std::string& file) {
  const auto limit = static_cast<double>(Raised(static_cast<std::int64_t>(most)));
  double all = 0, largest = 0;
  std::string name;
  for (const TensorInfo& info : program.tensors) {
    double bytes = BitsOf(info.dtype) / 8;
    for (std::size_t axis = 0; axis < info.shape.size(); ++axis) {
      const auto runs = [&](std::int64_t a) { return a == static_cast<std::int64_t>(axis); };
      if (std::none_of(info.length_axes.begin(), info.length_axes.end(), runs))
        bytes *= static_cast<double>(info.shape[axis]);
    }
    all += bytes;
    if (bytes <= largest) continue;
    largest = bytes;
    name = info.name;
  }
  if (all <= limit) return;
  throw InputError(
      fmt::format("{}: the tensors take {:.0f} MB ('{}' alone {:.0f}), at most {:.0f} for files of "
                  "this size; {}",
                  file, all / 1e6, name, largest / 1e6, limit / 1e6, kRaisedBy));
}

std::int64_t LengthOf(const Bundle& bundle, std::int64_t index) {
  if (!bundle.lengths.empty()) return bundle.lengths[static_cast<std::size_t>(index)];
  for (const std::string& name : bundle.program.inputs) {
    const Shape& axes = bundle.program.Tensor(name).length_axes;
    if (!axes.empty()) return bundle.inputs.at(name).shape()[static_cast<std::size_t>(axes[0] + 1)];
  }
  return 0;
}

Bundle LoadBundle(const std::filesystem::path& directory) {
  return bundle_format::BundleReader(directory).Read();
}

}  // namespace qsim::bundle
