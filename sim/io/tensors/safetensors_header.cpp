#include "sim/io/tensors/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/limits.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kDtype = "dtype";
constexpr std::string_view kShape = "shape";
constexpr std::string_view kOffsets = "data_offsets";
// As deep as the reference implementation follows what it then ignores.
constexpr int kDeepestIgnored = 127;

// {name: {"dtype": text, "shape": [n, ...], "data_offsets": [begin, end]}, "__metadata__": {text:
// text}}
class HeaderEvents : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderEvents(const std::string& file) : file_(file) {}

  std::vector<SafetensorsHeaderEntry> Take() { return std::move(entries_); }

  bool null() override {
    return Ignored() || (depth_ == 1 && name_ == kMetadata) || WrongValue("null");
  }
  bool boolean(bool) override { return Ignored() || WrongValue("a boolean"); }
  bool number_float(number_float_t, const string_t&) override {
    return Ignored() || WrongValue("a fraction, or a number beyond 64 bits,");
  }
  bool number_integer(number_integer_t) override {
    return Ignored() || WrongValue("a negative number");
  }
  bool binary(binary_t&) override { return WrongValue("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (Ignored()) return true;
    if (!in_array_) WrongValue("a number");
    numbers_.push_back(value);
    return true;
  }
  bool string(string_t& value) override {
    if (Ignored() || (depth_ == 2 && name_ == kMetadata)) return true;
    if (depth_ != 2 || in_array_ || key_ != kDtype) WrongValue("text");
    dtype_ = value;
    return true;
  }
  bool start_object(std::size_t) override {
    if (Ignored()) return Descend();
    if (in_array_ || depth_ >= 2) WrongValue("an object");
    ++depth_;
    if (depth_ == 2) {
      keys_.clear();
      shape_.reset();
      offsets_.reset();
      dtype_.reset();
      key_.clear();
    }
    return true;
  }
  bool key(string_t& value) override {
    if (ignored_depth_ > 0) return true;
    if (depth_ == 1) {
      name_ = std::move(value);
      if (name_ == kMetadata && std::exchange(has_metadata_, true)) Fail("appears twice");
      return true;
    }
    key_ = std::move(value);
    if (name_ == kMetadata || !IsKnown(key_)) return true;
    if (!keys_.insert(key_).second) Fail(fmt::format("has key '{}' twice", key_));
    return true;
  }
  bool start_array(std::size_t) override {
    if (Ignored()) return Descend();
    if (depth_ != 2 || in_array_ || (key_ != kShape && key_ != kOffsets)) WrongValue("a list");
    in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    if (ignored_depth_ > 0) return Ascend();
    in_array_ = false;
    (key_ == kShape ? shape_ : offsets_) = numbers_;
    return true;
  }
  bool end_object() override {
    if (ignored_depth_ > 0) return Ascend();
    --depth_;
    if (depth_ == 1 && name_ != kMetadata) Finish();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    FailAt(position);
  }
  [[noreturn]] void FailAt(std::size_t position) const {
    throw InputError(fmt::format("{}: the safetensors header is not valid JSON at its byte {}",
                                 file_, position));
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw InputError(
        fmt::format("{}: tensor '{}' {} in the safetensors header", file_, Printable(name_), what));
  }
  static bool IsKnown(std::string_view key) {
    return key == kDtype || key == kShape || key == kOffsets;
  }
  // Within a key of a tensor that nothing here knows: the reference implementation skips it.
  bool Ignored() const { return depth_ == 2 && name_ != kMetadata && !IsKnown(key_); }
  bool Descend() {
    if (++ignored_depth_ + depth_ > kDeepestIgnored)
      Fail(fmt::format("is nested deeper than {}", kDeepestIgnored));
    return true;
  }
  bool Ascend() {
    --ignored_depth_;
    return true;
  }
  [[noreturn]] bool WrongValue(const std::string& found) const {
    if (depth_ == 0) {
      throw InputError(
          fmt::format("{}: the safetensors header is {}; expected a JSON object", file_, found));
    }
    if (depth_ == 1) Fail(fmt::format("is {} where an object is expected", found));
    Fail(fmt::format("has {} for '{}'", found, Printable(key_)));
  }
  void Finish() {
    if (!dtype_ || !shape_ || !offsets_) Fail("lacks dtype, shape or data_offsets");
    if (offsets_->size() != 2) Fail("has data_offsets that are not two numbers");
    constexpr std::int64_t kMostTensors = 100'000;
    constexpr std::int64_t kLongestName = std::int64_t{1} << 16;
    if (std::ssize(name_) > Raised(kLongestName))
      Fail(fmt::format("has a name of {} bytes, at most {} are read ({})", name_.size(),
                       Raised(kLongestName), kRaisedBy));
    if (static_cast<std::int64_t>(entries_.size()) >= Raised(kMostTensors)) {
      throw InputError(
          fmt::format("{}: more than {} tensors; {}", file_, Raised(kMostTensors), kRaisedBy));
    }
    entries_.push_back({name_, *dtype_, {}, (*offsets_)[0], (*offsets_)[1]});
    for (const std::uint64_t dim : *shape_) {
      if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        Fail("has a dimension that does not fit 63 bits");
      }
      entries_.back().shape.push_back(static_cast<std::int64_t>(dim));
    }
  }

  const std::string& file_;
  std::vector<SafetensorsHeaderEntry> entries_;
  std::set<std::string> keys_;
  int depth_ = 0;
  int ignored_depth_ = 0;  // open brackets below an ignored key
  bool has_metadata_ = false;
  bool in_array_ = false;
  std::string name_;
  std::string key_;
  std::vector<std::uint64_t> numbers_;
  std::optional<std::string> dtype_;
  std::optional<std::vector<std::uint64_t>> shape_;
  std::optional<std::vector<std::uint64_t>> offsets_;
};

}  // namespace

std::vector<SafetensorsHeaderEntry> ParseSafetensorsHeader(std::string_view json,
                                                           const std::string& file) {
  // The parser takes NUL for the end of the text.
  if (const std::size_t nul = json.find('\0'); nul != std::string_view::npos) {
    throw InputError(fmt::format(
        "{}: byte {} of the safetensors header is NUL; a header is filled up with spaces", file,
        nul));
  }
  HeaderEvents events(file);
  if (json.starts_with("\xef\xbb\xbf")) events.FailAt(0);  // which it would skip
  Json::sax_parse(json.begin(), json.end(), &events);
  return events.Take();
}

}  // namespace qsim::io
