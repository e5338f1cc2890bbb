#include "sim/io/tensors/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "sim/error.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};
// numpy itself refuses to evaluate headers beyond 10,000 characters.
constexpr std::uint64_t kLongestNpyHeader = 10000;
constexpr std::size_t kMostDimensions = 32;

// Parses {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, a Python literal.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  NpyHeader Parse() {
    Expect('{');
    while (!Accept('}')) {
      const std::string key = String();
      Expect(':');
      if (key == "descr" && !descr_) {
        descr_ = Descr();
      } else if (key == "fortran_order" && !fortran_) {
        fortran_ = Boolean();
      } else if (key == "shape" && !shape_) {
        shape_ = Tuple();
      } else {
        Fail(fmt::format("unexpected or repeated key '{}'", Printable(key)));
      }
      if (!Accept(',')) {
        Expect('}');
        break;
      }
    }
    SkipBlanks();
    if (!text_.empty()) Fail("text after the dictionary");
    if (!descr_ || !fortran_ || !shape_) Fail("descr, fortran_order or shape is missing");
    NpyHeader header;
    header.descr = *descr_;
    ReadDescr(header);
    header.shape = *shape_;
    header.fortran_order = *fortran_ && header.shape.size() > 1;
    const auto elements = CheckedElementCount(header.shape);
    if (!elements) {
      throw InputError(
          fmt::format("{}: shape {} is negative or too large", file_, FormatShape(header.shape)));
    }
    header.elements = *elements;
    return header;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw InputError(fmt::format("{}: bad .npy header: {}", file_, what));
  }
  void SkipBlanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) {
      text_.remove_prefix(1);
    }
  }
  bool Accept(char c) {
    SkipBlanks();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void Expect(char c) {
    if (!Accept(c)) {
      Fail(fmt::format("expected '{}' before '{}'", c, Printable(text_.substr(0, 20))));
    }
  }
  bool AcceptWord(std::string_view word) {
    SkipBlanks();
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  std::string String() {
    const char quote = Accept('\'') ? '\'' : '"';
    if (quote == '"') Expect('"');
    const std::size_t end = text_.find(quote);
    if (end == std::string_view::npos) Fail("text without its closing quote");
    std::string value(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return value;
  }
  std::string Descr() {
    SkipBlanks();
    if (!text_.empty() && (text_.front() == '[' || text_.front() == '(')) {
      throw InputError(fmt::format(
          "{}: a structured dtype; save one field: numpy.save(path, a['name'])", file_));
    }
    return String();
  }
  // "<i2": byte order, kind, bytes.
  void ReadDescr(NpyHeader& header) const {
    std::string_view rest = header.descr;
    if (!rest.empty() && std::string_view("<>=|").find(rest.front()) != std::string_view::npos) {
      header.big_endian = rest.front() == '>';
      rest.remove_prefix(1);
    }
    const std::string_view type = rest;
    constexpr auto kTypes = std::to_array<std::string_view>(
        {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"});
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      const bool objects = type.starts_with('O');
      throw InputError(
          fmt::format("{}: dtype '{}' is not supported{}; save numbers of 8 to 64 bits, like "
                      "numpy.save(path, a.astype(numpy.{}))",
                      file_, Printable(header.descr), objects ? " (Python objects)" : "",
                      type.starts_with('f') || type.starts_with('c') ? "float32" : "int32"));
    }
    header.kind = type[0];
    header.bytes = type[1] - '0';
  }
  bool Boolean() {
    if (AcceptWord("True")) return true;
    if (!AcceptWord("False")) Fail("fortran_order is neither True nor False");
    return false;
  }
  Shape Tuple() {
    Shape shape;
    Expect('(');
    while (!Accept(')')) {
      SkipBlanks();
      const std::string_view digits = text_.substr(0, text_.find_first_not_of("+-0123456789"));
      const auto value = ParseNumber<std::int64_t>(digits);
      if (!value) Fail("the shape is not a tuple of integers of 64 bits");
      text_.remove_prefix(digits.size());
      if (text_.starts_with('L')) text_.remove_prefix(1);  // Python 2's long integers
      shape.push_back(*value);
      if (shape.size() > kMostDimensions) Fail("more than 32 dimensions");
      if (!Accept(',')) {
        Expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const std::string& file_;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_;
  std::optional<Shape> shape_;
};

}  // namespace

NpyHeader ReadNpyHeader(const InputFile& file) {
  const std::string name = file.path().string();
  std::array<unsigned char, 12> prefix{};
  const std::size_t available = std::min<std::uint64_t>(prefix.size(), file.size());
  file.ReadAt(0, prefix.data(), available);
  if (available < 8 ||
      !std::equal(kMagic.begin(), kMagic.end(), prefix.begin(),
                  [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; })) {
    throw InputError(fmt::format("{}: not a .npy file (it does not begin with \\x93NUMPY){}", name,
                                 prefix[0] == 'P' && prefix[1] == 'K'
                                     ? "; a .npz holds several, save one by numpy.save"
                                     : ""));
  }
  const int major = prefix[6];
  if (major < 1 || major > 3 || prefix[7] != 0) {
    throw InputError(
        fmt::format("{}: .npy version {}.{}; expected 1.0, 2.0 or 3.0", name, major, prefix[7]));
  }
  const std::size_t prefix_bytes = major == 1 ? 10 : 12;
  std::uint64_t header_bytes = 0;
  for (std::size_t i = prefix_bytes; i-- > 8;) header_bytes = header_bytes << 8 | prefix[i];
  if (available < prefix_bytes || header_bytes > file.size() - prefix_bytes) {
    throw InputError(fmt::format("{}: truncated inside the .npy header", name));
  }
  if (header_bytes > kLongestNpyHeader) {
    throw InputError(fmt::format("{}: bad .npy header: {} bytes long, at most {} are read", name,
                                 header_bytes, kLongestNpyHeader));
  }
  std::string text(header_bytes, '\0');
  file.ReadAt(prefix_bytes, text.data(), text.size());
  NpyHeader header = HeaderParser(text, name).Parse();
  header.data_offset = prefix_bytes + header_bytes;
  return header;
}

std::string NpyDescr(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
      return "|i1";
    case DType::kUint8:
      return "|u1";
    case DType::kInt16:
      return "<i2";
    case DType::kUint16:
      return "<u2";
    case DType::kInt32:
      return "<i4";
    case DType::kInt64:
      return "<i8";
  }
  throw InternalError("integer tensor of an unknown dtype");
}

std::string MakeNpyHeader(const std::string& descr, const Shape& shape) {
  std::string dims;
  for (const std::int64_t dim : shape) dims += fmt::format("{}, ", dim);
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.pop_back();  // "(3,)"
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  constexpr std::size_t kPrefix = 10;
  constexpr std::size_t kAlignment = 64;
  const std::size_t unpadded = kPrefix + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string bytes(kMagic);
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(text.size() & 0xff);
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

}  // namespace qsim::io
