#include "sim/io/tensors/memh.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/json_text.h"
#include "sim/io/tensors/memh_words.h"
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

template <typename T>
IntTensor::Storage Convert(const std::vector<std::int64_t>& values) {
  return std::vector<T>(values.begin(), values.end());
}

IntTensor::Storage StorageOf(const std::vector<std::int64_t>& values, DType dtype) {
  switch (dtype) {
    case DType::kInt8:
      return Convert<std::int8_t>(values);
    case DType::kUint8:
      return Convert<std::uint8_t>(values);
    case DType::kInt16:
      return Convert<std::int16_t>(values);
    case DType::kUint16:
      return Convert<std::uint16_t>(values);
    case DType::kInt32:
      return Convert<std::int32_t>(values);
    case DType::kInt64:
      return values;
  }
  throw InternalError("memh of an unknown dtype");
}

// The narrowest that holds numbers of so many bits.
DType DTypeFor(int bits, bool is_signed) {
  if (bits <= 8) return is_signed ? DType::kInt8 : DType::kUint8;
  if (bits <= 16) return is_signed ? DType::kInt16 : DType::kUint16;
  return bits + (is_signed ? 0 : 1) <= 32 ? DType::kInt32 : DType::kInt64;
}

// How words are cut into elements.
struct Cut {
  std::int64_t lanes = 1;
  bool high_lane_first = false;
  int lane_bits = 0;  // what a lane's digits hold
  int bits = 0;       // of an element, which the other bits of its lane extend
  bool is_signed = false;
  bool narrow = false;  // the lane has fewer bits than the element: its sign is at its own top
};

// The element of a lane; nothing where it takes more than the element's bits.
std::optional<std::int64_t> ElementOf(std::uint64_t code, const Cut& cut) {
  const int bits = cut.narrow ? cut.lane_bits : cut.bits;
  const std::uint64_t above = bits >= 64 ? 0 : code & MaskOf(cut.lane_bits) & ~MaskOf(bits);
  const std::int64_t value = ValueOf(code & MaskOf(bits), bits, cut.is_signed);
  const bool extended =
      (static_cast<std::uint64_t>(value) & MaskOf(cut.lane_bits)) == (code & MaskOf(cut.lane_bits));
  // Padding to a whole digit may be zeros, whatever the sign.
  const bool padded = above == 0 && cut.lane_bits - bits < 4;
  if (!extended && !padded) return std::nullopt;
  return value;
}

struct BadWord {
  int line = 0;
  std::string digits;
};

// The first `count` elements, by place; or the first word that holds more than it may.
std::variant<std::vector<std::int64_t>, BadWord> Elements(std::string_view text,
                                                          const MemhWords& words, const Cut& cut,
                                                          std::int64_t count) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  std::optional<BadWord> bad;
  ForEachMemhWord(text, words, [&](const MemhWord& word) {
    if (bad) return;
    for (std::int64_t lane = 0; lane < cut.lanes; ++lane) {
      const std::int64_t at = cut.high_lane_first ? cut.lanes - 1 - lane : lane;
      const std::int64_t element = static_cast<std::int64_t>(word.place) * cut.lanes + lane;
      if (element >= count) break;  // the last word may be filled up
      const auto value = ElementOf(
          word.Bits(static_cast<std::size_t>(at) * static_cast<std::size_t>(cut.lane_bits),
                    cut.lane_bits),
          cut);
      if (value) {
        values[static_cast<std::size_t>(element)] = *value;
      } else if (!bad) {
        bad = BadWord{word.line, std::string(word.digits.substr(0, 40))};
      }
    }
  });
  if (bad) return *bad;
  return values;
}

std::size_t DigitsOf(std::int64_t lanes, int bits) {
  return (static_cast<std::size_t>(lanes) * static_cast<std::size_t>(bits) + 3) / 4;
}

// Elements in each of the words that hold `elements` of them; nothing where that is no number.
std::optional<std::int64_t> LanesOf(std::int64_t elements, const MemhWords& words,
                                    std::int64_t stated) {
  const auto count = static_cast<std::int64_t>(words.count);
  if (stated > 0) {
    const bool fits = elements / stated + (elements % stated != 0 ? 1 : 0) == count;
    return fits ? std::optional(stated) : std::nullopt;
  }
  if (count == elements) return 1;
  if (count == 0 || elements % count != 0) return std::nullopt;
  return elements / count;
}

struct Sidecar : WordForm {
  std::string name;
};

Sidecar ReadSidecar(const std::filesystem::path& path) {
  const std::string file = path.string();
  const auto json = ParseJson(ReadTextFile(path, kLargestSidecar, "a memh sidecar"), file);
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
  constexpr std::int64_t kMostLanes = 1 << 20;
  if (const auto lanes = json.find("lanes"); lanes != json.end()) {
    if (!lanes->is_number_integer() || *lanes < 1 || *lanes > kMostLanes)
      fail(fmt::format("key 'lanes': expected 1..{}, the elements in a word", kMostLanes));
    sidecar.lanes = lanes->get<std::int64_t>();
  }
  if (const auto order = json.find("lane_order"); order != json.end()) {
    sidecar.high_lane_first = *order == "high_first";
    if (!sidecar.high_lane_first && *order != "low_first")
      fail("key 'lane_order': expected low_first or high_first");
  }
  return sidecar;
}

Memh ReadStated(std::string_view text, const MemhWords& words, Sidecar sidecar,
                const std::string& file) {
  const std::int64_t elements = *CheckedElementCount(sidecar.shape);
  const auto lanes = LanesOf(elements, words, sidecar.lanes);
  const bool packed = lanes && *lanes > 1;
  const std::size_t digits = DigitsOf(lanes.value_or(1), sidecar.bits);
  if (!lanes || (packed && !words.same_digits) ||
      (packed && (sidecar.lanes == 0 ? words.digits != digits : words.digits < digits))) {
    throw InputError(fmt::format(
        "{}: {} words of {}{} digits, but shape {} of its sidecar needs {} elements of {} bits{}",
        file, words.count, words.same_digits ? "" : "up to ", words.digits,
        FormatShape(sidecar.shape), elements, sidecar.bits,
        sidecar.lanes > 1 ? fmt::format(", {} in a word", sidecar.lanes) : ""));
  }
  if (!packed && words.digits > 16) {
    throw InputError(
        fmt::format("{}: words of {} digits; an element has at most 64 bits", file, words.digits));
  }
  // Bits above the lanes belong to no element; those above a single one must extend it.
  const int digits_bits = static_cast<int>(std::min<std::size_t>(words.digits * 4, 64));
  const Cut cut{*lanes,
                sidecar.high_lane_first,
                packed ? sidecar.bits : std::max(digits_bits, sidecar.bits),
                sidecar.bits,
                sidecar.is_signed,
                false};
  auto elements_or = Elements(text, words, cut, elements);
  if (const auto* bad = std::get_if<BadWord>(&elements_or)) {
    throw InputError(fmt::format("{}:{}: '{}': does not fit {} bits", file, bad->line, bad->digits,
                                 sidecar.bits));
  }
  Memh memh;
  memh.name = std::move(sidecar.name);
  memh.bits = sidecar.bits;
  memh.is_signed = sidecar.is_signed;
  memh.has_sidecar = true;
  memh.tensor =
      IntTensor(std::move(sidecar.shape),
                StorageOf(std::get<std::vector<std::int64_t>>(elements_or), sidecar.dtype));
  return memh;
}

Memh ReadGuessed(std::string_view text, const MemhWords& words, WordForm form,
                 const std::string& file) {
  std::int64_t elements = ElementCount(form.shape);
  auto lanes =
      form.shape.empty() && words.count != 1 ? std::nullopt : LanesOf(elements, words, form.lanes);
  const auto all_bits = static_cast<std::int64_t>(words.digits) * 4;
  int lane_bits = form.bits;
  if (lanes && *lanes > 1 &&
      (form.bits == 0 || words.digits != DigitsOf(*lanes, form.bits) || !words.same_digits)) {
    const bool whole = words.same_digits && all_bits % *lanes == 0 && all_bits / *lanes <= 64;
    if (whole) lane_bits = static_cast<int>(all_bits / *lanes);
    if (!whole) lanes.reset();
  }
  if (!lanes) {
    elements = static_cast<std::int64_t>(words.count);
    form.shape = {elements};
    lanes = 1;
  }
  if (*lanes == 1) {
    if (all_bits > 64) {
      throw InputError(
          fmt::format("{}: words of {} digits hold more than one element; give their number in a "
                      "word ('lanes') and their bits in {}.json",
                      file, words.digits, file));
    }
    lane_bits = static_cast<int>(all_bits);
  }
  if (form.bits == 0) form.bits = lane_bits;
  Cut cut{*lanes, form.high_lane_first, lane_bits, form.bits, form.is_signed, false};
  if (lane_bits < form.bits) {
    // Digits that all words have are the width of a register; others lack leading zeros.
    cut.narrow = *lanes > 1 || words.same_digits;
    if (!cut.narrow) cut.lane_bits = form.bits;
  }
  auto elements_or = Elements(text, words, cut, elements);
  if (std::holds_alternative<BadWord>(elements_or)) {
    cut.bits = cut.lane_bits;
    elements_or = Elements(text, words, cut, elements);
    form.dtype = DTypeFor(cut.bits, cut.is_signed);
  }
  if (!cut.is_signed && cut.bits > 63) {
    throw InputError(fmt::format("{}: unsigned words of 64 bits; at most 63 are read", file));
  }
  Memh memh;
  memh.bits = std::max(cut.bits, 1);
  memh.is_signed = form.is_signed;
  memh.tensor = IntTensor(std::move(form.shape),
                          StorageOf(std::get<std::vector<std::int64_t>>(elements_or), form.dtype));
  return memh;
}

Memh ReadPlain(std::string_view text, const MemhWords& words, const std::string& file) {
  if (words.digits > kMostUnsignedDigits) {
    throw InputError(
        fmt::format("{}: words of more than {} digits; give their width, and how many "
                    "elements a word holds ('lanes'), in {}.json",
                    file, kMostUnsignedDigits, file));
  }
  WordForm form;
  form.shape = {static_cast<std::int64_t>(words.count)};
  form.bits = static_cast<int>(words.digits) * 4;
  form.is_signed = false;
  form.dtype = DTypeFor(form.bits, false);
  return ReadGuessed(text, words, std::move(form), file);
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

std::optional<WordForm> SidecarForm(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(SidecarOf(path), ignored)) return std::nullopt;
  return ReadSidecar(SidecarOf(path));
}

Memh ReadMemh(const std::filesystem::path& path, const std::optional<WordForm>& form) {
  const std::string file = path.string();
  const std::string text = ReadTextFile(path, kLargestFile, "a memh file");
  const MemhWords words = CountMemhWords(text, file);
  std::error_code ignored;
  if (std::filesystem::exists(SidecarOf(path), ignored))
    return ReadStated(text, words, ReadSidecar(SidecarOf(path)), file);
  return form ? ReadGuessed(text, words, *form, file) : ReadPlain(text, words, file);
}

}  // namespace qsim::io
