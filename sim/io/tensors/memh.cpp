#include "sim/io/tensors/memh.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/input_file.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 32;
constexpr std::uint64_t kLargestSidecar = 1 << 20;
// Fifteen digits are 60 bits, the most whose unsigned values fit an int64.
constexpr std::size_t kMostUnsignedDigits = 15;

std::filesystem::path SidecarOf(const std::filesystem::path& path) {
  std::filesystem::path sidecar = path;
  sidecar += ".json";
  return sidecar;
}

std::size_t DigitsFor(int bits) { return (static_cast<std::size_t>(bits) + 3) / 4; }

std::uint64_t MaskOf(int bits) {
  return bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

// Two's complement of `bits` bits, zero-extended to whole digits, to a value.
std::int64_t ValueOf(std::uint64_t code, int bits, bool is_signed) {
  if (is_signed && (code >> (bits - 1) & 1) != 0) code |= ~MaskOf(bits);
  return static_cast<std::int64_t>(code);
}

struct Codes {
  std::vector<std::uint64_t> values;
  std::size_t digits = 0;
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// One code per line; `bits` (0: unknown) bounds digits and values.
Codes ParseCodes(std::string_view text, const std::string& file, int bits) {
  Codes codes;
  codes.digits = bits > 0 ? DigitsFor(bits) : 0;
  for (int line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find("//"));
    while (!line.empty() && std::string_view(" \t\r").find(line.back()) != std::string_view::npos) {
      line.remove_suffix(1);
    }
    if (line.empty()) continue;
    const auto fail = [&](const std::string& what) {
      throw InputError(fmt::format("{}:{}: '{}': {}", file, line_number, Printable(line), what));
    };
    if (codes.digits == 0) codes.digits = line.size();
    std::uint64_t code = 0;
    for (const char c : line) {
      const int digit = HexDigit(c);
      if (digit < 0) fail("expected one hexadecimal number per line");
      if (line.size() != codes.digits) fail(fmt::format("expected {} digits", codes.digits));
      code = code << 4 | static_cast<std::uint64_t>(digit);
    }
    if (bits == 0 && codes.digits > kMostUnsignedDigits) {
      fail(
          fmt::format("more than {} digits; give the width in {}.json", kMostUnsignedDigits, file));
    }
    if (bits > 0 && (code & ~MaskOf(bits)) != 0) fail(fmt::format("does not fit {} bits", bits));
    codes.values.push_back(code);
  }
  return codes;
}

template <typename T>
IntTensor::Storage Convert(const Codes& codes, int bits, bool is_signed) {
  std::vector<T> values(codes.values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(ValueOf(codes.values[i], bits, is_signed));
  }
  return values;
}

IntTensor::Storage StorageOf(const Codes& codes, DType dtype, int bits, bool is_signed) {
  switch (dtype) {
    case DType::kInt8:
      return Convert<std::int8_t>(codes, bits, is_signed);
    case DType::kUint8:
      return Convert<std::uint8_t>(codes, bits, is_signed);
    case DType::kInt16:
      return Convert<std::int16_t>(codes, bits, is_signed);
    case DType::kUint16:
      return Convert<std::uint16_t>(codes, bits, is_signed);
    case DType::kInt32:
      return Convert<std::int32_t>(codes, bits, is_signed);
    case DType::kInt64:
      return Convert<std::int64_t>(codes, bits, is_signed);
  }
  throw InternalError("memh of an unknown dtype");
}

struct Sidecar {
  std::string name;
  Shape shape;
  DType dtype = DType::kInt8;
  int bits = 0;
  bool is_signed = false;
};

Sidecar ReadSidecar(const std::filesystem::path& path) {
  const std::string file = path.string();
  const auto json = nlohmann::json::parse(ReadTextFile(path, kLargestSidecar, "a memh sidecar"),
                                          nullptr, /*allow_exceptions=*/false);
  const auto fail = [&](std::string_view what) {
    throw InputError(fmt::format("{}: {}", file, what));
  };
  if (!json.is_object()) fail("not a JSON object");
  for (const std::string_view key : {"name", "shape", "dtype", "bits", "signed"}) {
    if (!json.contains(key)) fail(fmt::format("key '{}' is missing", key));
  }
  Sidecar sidecar;
  if (!json["name"].is_string()) fail("key 'name': expected text");
  sidecar.name = json["name"].get<std::string>();
  if (!json["shape"].is_array()) fail("key 'shape': expected a list of dimensions");
  for (const auto& dim : json["shape"]) {
    if (!dim.is_number_integer() ||
        (dim.is_number_unsigned() &&
         dim.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
      fail("key 'shape': expected a list of dimensions");
    }
    sidecar.shape.push_back(dim.get<std::int64_t>());
  }
  if (!CheckedElementCount(sidecar.shape)) fail("key 'shape': negative or too large");
  const auto dtype = json["dtype"].is_string() ? FromName<DType>(json["dtype"].get<std::string>())
                                               : std::optional<DType>();
  if (!dtype) fail("key 'dtype': expected int8, uint8, int16, uint16, int32 or int64");
  sidecar.dtype = *dtype;
  if (!json["signed"].is_boolean()) fail("key 'signed': expected true or false");
  sidecar.is_signed = json["signed"].get<bool>();
  // An unsigned value needs one bit more in a signed dtype, and a signed one does not fit an
  // unsigned one.
  const int spare = IsSigned(sidecar.dtype) && !sidecar.is_signed ? 1 : 0;
  const int most = BitsOf(sidecar.dtype) - spare;
  if (!json["bits"].is_number_integer() || json["bits"] < 1 || json["bits"] > most) {
    fail(fmt::format("key 'bits': expected 1..{} for {}", most, Name(sidecar.dtype)));
  }
  if (sidecar.is_signed && !IsSigned(sidecar.dtype)) {
    fail(fmt::format("key 'signed': true contradicts dtype {}", Name(sidecar.dtype)));
  }
  sidecar.bits = json["bits"].get<int>();
  return sidecar;
}

Memh ReadPlain(std::string_view text, const std::string& file) {
  const Codes codes = ParseCodes(text, file, 0);
  Memh memh;
  memh.bits = static_cast<int>(codes.digits) * 4;
  DType dtype = DType::kInt64;
  if (memh.bits <= 16) dtype = memh.bits <= 8 ? DType::kUint8 : DType::kUint16;
  memh.tensor = IntTensor(Shape{static_cast<std::int64_t>(codes.values.size())},
                          StorageOf(codes, dtype, memh.bits, false));
  return memh;
}

}  // namespace

void WriteMemh(const std::filesystem::path& path, std::string_view name, const IntTensor& tensor,
               int bits) {
  const bool is_signed = IsSigned(tensor.dtype());
  if (bits < 1 || bits > BitsOf(tensor.dtype())) {
    throw InternalError(fmt::format("memh of {}: {} bits of {}", name, bits, Name(tensor.dtype())));
  }
  const std::size_t digits = DigitsFor(bits);
  std::string text;
  text.reserve(static_cast<std::size_t>(tensor.size()) * (digits + 1));
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t value = tensor.At(i);
    const std::uint64_t code = static_cast<std::uint64_t>(value) & MaskOf(bits);
    if (ValueOf(code, bits, is_signed) != value) {
      throw InternalError(fmt::format("memh of {}: {} at {} does not fit {} bits", name, value,
                                      FormatIndex(tensor.shape(), i), bits));
    }
    for (std::size_t d = digits; d-- > 0;) text += "0123456789abcdef"[code >> (4 * d) & 15u];
    text += '\n';
  }
  const nlohmann::ordered_json sidecar = {{"name", name},
                                          {"shape", tensor.shape()},
                                          {"dtype", Name(tensor.dtype())},
                                          {"bits", bits},
                                          {"signed", is_signed}};
  WriteFileAtomically(SidecarOf(path), sidecar.dump() + "\n");
  WriteFileAtomically(path, text);
}

void WriteMemh(const std::filesystem::path& path, std::string_view name, const IntTensor& tensor) {
  WriteMemh(path, name, tensor, BitsOf(tensor.dtype()));
}

Memh ReadMemh(const std::filesystem::path& path) {
  const std::string file = path.string();
  const std::string text = ReadTextFile(path, kLargestFile, "a memh file");
  std::error_code ignored;
  if (!std::filesystem::exists(SidecarOf(path), ignored)) return ReadPlain(text, file);
  Sidecar sidecar = ReadSidecar(SidecarOf(path));
  const Codes codes = ParseCodes(text, file, sidecar.bits);
  const std::int64_t elements = *CheckedElementCount(sidecar.shape);
  if (static_cast<std::int64_t>(codes.values.size()) != elements) {
    throw InputError(fmt::format("{}: {} elements, but shape {} of its sidecar needs {}", file,
                                 codes.values.size(), FormatShape(sidecar.shape), elements));
  }
  Memh memh;
  memh.name = std::move(sidecar.name);
  memh.bits = sidecar.bits;
  memh.is_signed = sidecar.is_signed;
  memh.has_sidecar = true;
  memh.tensor = IntTensor(std::move(sidecar.shape),
                          StorageOf(codes, sidecar.dtype, sidecar.bits, sidecar.is_signed));
  return memh;
}

}  // namespace qsim::io
