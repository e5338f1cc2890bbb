#include "sim/io/tensors/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/tensors/half.h"
#include "sim/io/tensors/safetensors_header.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

// The reference implementation's own limit.
constexpr std::uint64_t kLongestHeader = 100'000'000;

// Bits per element; 0 for what is no type of the format.
std::uint64_t BitsOfType(std::string_view dtype) {
  struct Type {
    std::string_view name;
    std::uint64_t bits;
  };
  constexpr auto kTypes = std::to_array<Type>(
      {{"F32", 32},        {"F16", 16},       {"BF16", 16},   {"F64", 64},    {"I8", 8},
       {"U8", 8},          {"I16", 16},       {"U16", 16},    {"I32", 32},    {"U32", 32},
       {"I64", 64},        {"U64", 64},       {"BOOL", 8},    {"C64", 64},    {"F4", 4},
       {"F6_E2M3", 6},     {"F6_E3M2", 6},    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
       {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}});
  const auto found =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const Type& t) { return t.name == dtype; });
  return found == kTypes.end() ? 0 : found->bits;
}

std::uint64_t ReadHeaderLength(const InputFile& file) {
  const std::string name = file.path().string();
  if (file.size() < 8) {
    throw InputError(
        fmt::format("{}: truncated: {} bytes are no safetensors file", name, file.size()));
  }
  std::uint64_t length = 0;
  file.ReadAt(0, &length, sizeof length);
  if (length > file.size() - 8) {
    throw InputError(
        fmt::format("{}: truncated or not a safetensors file: its header length is {}, but only {} "
                    "bytes follow",
                    name, length, file.size() - 8));
  }
  if (length > kLongestHeader) {
    throw InputError(fmt::format("{}: a safetensors header of {} bytes; at most {} are read", name,
                                 length, kLongestHeader));
  }
  return length;
}

[[noreturn]] void Fail(const SafetensorsHeaderEntry& entry, const std::string& file,
                       const std::string& what) {
  throw InputError(fmt::format("{}: tensor '{}': {}", file, Printable(entry.name), what));
}

void CheckByteCount(const SafetensorsHeaderEntry& entry, const std::string& file) {
  const std::uint64_t bits = BitsOfType(entry.dtype);
  const std::uint64_t bytes = entry.end - entry.begin;
  // From left to right, like the reference implementation: a 0 does not undo an overflow.
  std::uint64_t total = 1;
  bool fits = true;
  for (const std::int64_t dim : entry.shape)
    fits = fits && !__builtin_mul_overflow(total, static_cast<std::uint64_t>(dim), &total);
  fits = fits && !__builtin_mul_overflow(total, bits, &total);
  if (!fits || total % 8 != 0 || total / 8 != bytes) {
    Fail(entry, file,
         fmt::format("shape {} of {} does not fill its {} bytes", FormatShape(entry.shape),
                     entry.dtype, bytes));
  }
}

// The tensors must tile the data section exactly.
void CheckLayout(std::vector<const SafetensorsHeaderEntry*> entries, std::uint64_t data_bytes,
                 const std::string& file) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t position = 0;
  for (const auto* pointer : entries) {
    const SafetensorsHeaderEntry& entry = *pointer;
    const auto fail = [&](const std::string& what) {
      Fail(entry, file, fmt::format("data_offsets [{}, {}] {}", entry.begin, entry.end, what));
    };
    if (entry.end < entry.begin) fail("end before they begin");
    if (entry.end > data_bytes) {
      fail(fmt::format("leave the file, which holds {} bytes of data (truncated?)", data_bytes));
    }
    if (entry.begin < position) fail("overlap the tensor before");
    if (entry.begin > position) {
      fail(fmt::format("leave a hole after byte {}", position));
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    throw InputError(fmt::format("{}: {} bytes after the last tensor belong to none", file,
                                 data_bytes - position));
  }
}

std::string Bytes(const SafetensorsItem& item) {
  std::string bytes;
  for (const float value : item.tensor.data) {
    std::uint32_t code = 0;
    std::size_t size = 2;
    if (item.dtype == WeightDType::kF16) {
      code = FloatToHalf(value);
    } else if (item.dtype == WeightDType::kBf16) {
      code = FloatToBfloat16(value);
    } else {
      std::memcpy(&code, &value, sizeof code);
      size = 4;
    }
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(code >> (8 * i) & 0xff);
  }
  return bytes;
}

}  // namespace

Safetensors Safetensors::Open(const std::filesystem::path& path) {
  Safetensors result;
  result.file_ = std::make_shared<const InputFile>(path);
  const std::uint64_t length = ReadHeaderLength(*result.file_);
  std::string header(length, '\0');
  result.file_->ReadAt(8, header.data(), header.size());
  result.ParseHeader(header, 8 + length);
  return result;
}

void Safetensors::ParseHeader(std::string_view header, std::uint64_t data_offset) {
  const std::string file = path().string();
  // Of a name that is there twice the last one counts, as in the reference implementation, which
  // reads both and asks of the last one alone whether it fits the data.
  std::map<std::string_view, const SafetensorsHeaderEntry*> last;
  const std::vector<SafetensorsHeaderEntry> entries = ParseSafetensorsHeader(header, file);
  for (const auto& entry : entries) {
    if (BitsOfType(entry.dtype) == 0)
      Fail(entry, file, fmt::format("dtype '{}' is none of the format's", Printable(entry.dtype)));
    last[entry.name] = &entry;
  }
  std::vector<const SafetensorsHeaderEntry*> counted;
  for (const auto& [name, entry] : last) counted.push_back(entry);
  CheckLayout(counted, file_->size() - data_offset, file);
  for (const auto* entry : counted) {
    CheckByteCount(*entry, file);
    entries_[entry->name] = {entry->dtype, entry->shape, data_offset + entry->begin,
                             entry->end - entry->begin};
  }
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_) result.push_back(name);
  return result;
}

bool Safetensors::Has(std::string_view name) const { return entries_.contains(name); }

const Safetensors::Entry& Safetensors::Find(std::string_view name) const {
  const auto it = entries_.find(name);
  if (it != entries_.end()) return it->second;
  std::string hint;
  if (const auto nearest = NearestWord(name, names())) {
    hint = fmt::format("; the nearest name is '{}'", Printable(*nearest));
  }
  throw InputError(fmt::format("{}: no tensor '{}'{}", path().string(), name, hint));
}

const std::string& Safetensors::DTypeOf(std::string_view name) const { return Find(name).dtype; }
const Shape& Safetensors::ShapeOf(std::string_view name) const { return Find(name).shape; }

FloatTensor Safetensors::Load(std::string_view name, const std::optional<Shape>& expected) const {
  const Entry& entry = Find(name);
  const auto fail = [&](const std::string& what) {
    throw InputError(fmt::format("{}: tensor '{}': {}", path().string(), Printable(name), what));
  };
  if (expected && *expected != entry.shape) {
    fail(
        fmt::format("has shape {}, expected {}", FormatShape(entry.shape), FormatShape(*expected)));
  }
  const bool half = entry.dtype == "F16";
  const bool bfloat = entry.dtype == "BF16";
  if (!half && !bfloat && entry.dtype != "F32") {
    fail(fmt::format("has dtype {}; expected F32, F16 or BF16", Printable(entry.dtype)));
  }
  FloatTensor tensor;
  tensor.shape = entry.shape;
  if (half || bfloat) {
    std::vector<std::uint16_t> codes(entry.bytes / 2);
    file_->ReadAt(entry.begin, codes.data(), entry.bytes);
    tensor.data.resize(codes.size());
    std::transform(codes.begin(), codes.end(), tensor.data.begin(),
                   half ? HalfToFloat : Bfloat16ToFloat);
  } else {
    tensor.data.resize(entry.bytes / 4);
    file_->ReadAt(entry.begin, tensor.data.data(), entry.bytes);
  }
  for (std::size_t i = 0; i < tensor.data.size(); ++i) {
    if (std::isfinite(tensor.data[i])) continue;
    FailNotFinite(name, tensor.shape, i, std::isnan(tensor.data[i]));
  }
  return tensor;
}

void Safetensors::CheckFinite(std::string_view name) const {
  const Entry& entry = Find(name);
  if (entry.dtype == "F32" || entry.dtype == "F16" || entry.dtype == "BF16") {
    Load(name);
  } else if (entry.dtype == "F64") {
    std::vector<double> values(entry.bytes / sizeof(double));
    file_->ReadAt(entry.begin, values.data(), entry.bytes);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) FailNotFinite(name, entry.shape, i, std::isnan(values[i]));
    }
  }
}

void Safetensors::FailNotFinite(std::string_view name, const Shape& shape, std::size_t element,
                                bool is_nan) const {
  throw InputError(fmt::format("{}: tensor '{}': {} at {}", path().string(), Printable(name),
                               is_nan ? "NaN" : "Inf",
                               FormatIndex(shape, static_cast<std::int64_t>(element))));
}

void WriteSafetensors(const std::filesystem::path& path,
                      const std::vector<SafetensorsItem>& items) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::string data;
  for (const SafetensorsItem& item : items) {
    const std::size_t begin = data.size();
    data += Bytes(item);
    const char* dtype = item.dtype == WeightDType::kF32   ? "F32"
                        : item.dtype == WeightDType::kF16 ? "F16"
                                                          : "BF16";
    header[item.name] = {
        {"dtype", dtype}, {"shape", item.tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string length;
  for (std::size_t i = 0; i < 8; ++i) {
    length += static_cast<char>(std::uint64_t{text.size()} >> (8 * i) & 0xff);
  }
  AtomicFile file(path);
  file.Write(length);
  file.Write(text);
  file.Write(data);
  file.Commit();
}

}  // namespace qsim::io
