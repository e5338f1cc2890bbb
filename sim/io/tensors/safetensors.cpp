#include "sim/io/tensors/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/tensors/half.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"
#include "sim/io/tensors/safetensors_header.h"
#include "sim/io/tensors/shape.h"

namespace qsim::io {
namespace {

// The reference implementation's own limit.
constexpr std::uint64_t kLongestHeader = 100'000'000;

// Bytes per element, or 0 for a dtype this reader only lists.
std::uint64_t BytesOf(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL") return 1;
  return 0;
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

void CheckByteCount(const SafetensorsHeaderEntry& entry, const std::string& file) {
  const std::uint64_t per_element = BytesOf(entry.dtype);
  if (per_element == 0) return;
  const auto elements = CheckedElementCount(entry.shape);
  const std::uint64_t bytes = entry.end - entry.begin;
  if (!elements || bytes % per_element != 0 ||
      bytes / per_element != static_cast<std::uint64_t>(*elements)) {
    throw InputError(fmt::format("{}: tensor '{}': shape {} of {} does not fill its {} bytes", file,
                                 Printable(entry.name), FormatShape(entry.shape), entry.dtype,
                                 bytes));
  }
}

// The tensors must tile the data section exactly.
void CheckLayout(std::vector<SafetensorsHeaderEntry> entries, std::uint64_t data_bytes,
                 const std::string& file) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const auto& entry : entries) {
    const auto fail = [&](const std::string& what) {
      throw InputError(fmt::format("{}: tensor '{}': data_offsets [{}, {}] {}", file,
                                   Printable(entry.name), entry.begin, entry.end, what));
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
  auto entries = ParseSafetensorsHeader(header, file);
  CheckLayout(entries, file_->size() - data_offset, file);
  for (auto& entry : entries) {
    CheckByteCount(entry, file);
    entries_[entry.name] = Entry{std::move(entry.dtype), std::move(entry.shape),
                                 data_offset + entry.begin, entry.end - entry.begin};
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
