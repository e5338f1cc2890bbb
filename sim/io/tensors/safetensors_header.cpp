#include "sim/io/tensors/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "sim/error.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::size_t kMostDimensions = 32;

// {name: {"dtype": text, "shape": [n, ...], "data_offsets": [begin, end]}, "__metadata__": {text:
// text}}
class HeaderEvents : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderEvents(const std::string& file) : file_(file) {}

  std::vector<SafetensorsHeaderEntry> Take() { return std::move(entries_); }

  bool null() override { WrongValue("null"); }
  bool boolean(bool) override { WrongValue("a boolean"); }
  bool number_float(number_float_t, const string_t&) override { WrongValue("a fraction"); }
  bool number_integer(number_integer_t) override { WrongValue("a negative number"); }
  bool binary(binary_t&) override { WrongValue("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) WrongValue("a number");
    numbers_.push_back(value);
    if (numbers_.size() > kMostDimensions) Fail("has more than 32 dimensions");
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 2 && name_ == kMetadata) return true;
    if (depth_ != 2 || in_array_ || key_ != "dtype") WrongValue("text");
    dtype_ = value;
    return true;
  }
  bool start_object(std::size_t) override {
    if (in_array_ || depth_ >= 2) WrongValue("an object");
    ++depth_;
    if (depth_ == 2) {
      keys_.clear();
      shape_.reset();
      offsets_.reset();
      dtype_.reset();
    }
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ == 1) {
      name_ = value;
      if (!names_.insert(value).second) Fail("appears twice");
      return true;
    }
    key_ = value;
    if (!keys_.insert(value).second) Fail(fmt::format("has key '{}' twice", Printable(value)));
    if (name_ != kMetadata && value != "dtype" && value != "shape" && value != "data_offsets") {
      Fail(fmt::format("has an unknown key '{}'", Printable(value)));
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_array_ || (key_ != "shape" && key_ != "data_offsets")) {
      WrongValue("a list");
    }
    in_array_ = true;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    (key_ == "shape" ? shape_ : offsets_) = numbers_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1 && name_ != kMetadata) Finish();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    throw InputError(fmt::format("{}: the safetensors header is not valid JSON at its byte {}",
                                 file_, position));
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw InputError(
        fmt::format("{}: tensor '{}' {} in the safetensors header", file_, Printable(name_), what));
  }
  [[noreturn]] void WrongValue(const std::string& found) const {
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
    SafetensorsHeaderEntry entry{name_, *dtype_, {}, (*offsets_)[0], (*offsets_)[1]};
    for (const std::uint64_t dim : *shape_) {
      if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        Fail("has a dimension that does not fit 63 bits");
      }
      entry.shape.push_back(static_cast<std::int64_t>(dim));
    }
    entries_.push_back(std::move(entry));
  }

  const std::string& file_;
  std::vector<SafetensorsHeaderEntry> entries_;
  std::set<std::string> names_;
  std::set<std::string> keys_;
  int depth_ = 0;
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
  HeaderEvents events(file);
  Json::sax_parse(json.begin(), json.end(), &events);
  return events.Take();
}

}  // namespace qsim::io
