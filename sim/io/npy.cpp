#include "sim/io/npy.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/error.h"
#include "sim/io/atomic_file.h"
#include "sim/io/half.h"
#include "sim/io/npy_header.h"
#include "sim/io/printable.h"
#include "sim/io/shape.h"

namespace qsim {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the data are read and written as they are");

// The data part, whose size is known to be right before the vector is allocated.
template <typename T>
std::vector<T> ReadData(const InputFile& file, const NpyHeader& header) {
  const std::uint64_t available = file.size() - header.data_offset;
  const std::uint64_t elements = static_cast<std::uint64_t>(header.elements);
  const std::string name = file.path().string();
  if (elements > available / sizeof(T)) {
    throw InputError(fmt::format(
        "{}: truncated: shape {} of {}-byte elements needs more than the {} bytes of data", name,
        FormatShape(header.shape), sizeof(T), available));
  }
  if (elements * sizeof(T) != available) {
    throw InputError(fmt::format("{}: {} trailing bytes after the data of shape {}", name,
                                 available - elements * sizeof(T), FormatShape(header.shape)));
  }
  std::vector<T> data(elements);
  file.ReadAt(header.data_offset, data.data(), data.size() * sizeof(T));
  return data;
}

// The file's integers, or nullopt when it holds something else.
std::optional<IntTensor> ReadInts(const InputFile& file, const NpyHeader& header) {
  const std::string& descr = header.descr;
  const Shape& shape = header.shape;
  if (descr == "|i1" || descr == "<i1")
    return IntTensor(shape, ReadData<std::int8_t>(file, header));
  if (descr == "|u1" || descr == "<u1") {
    return IntTensor(shape, ReadData<std::uint8_t>(file, header));
  }
  if (descr == "<i2") return IntTensor(shape, ReadData<std::int16_t>(file, header));
  if (descr == "<u2") return IntTensor(shape, ReadData<std::uint16_t>(file, header));
  if (descr == "<i4") return IntTensor(shape, ReadData<std::int32_t>(file, header));
  if (descr == "<i8") return IntTensor(shape, ReadData<std::int64_t>(file, header));
  return std::nullopt;
}

template <typename Tensor, typename T, typename Convert>
Tensor ConvertFloats(const InputFile& file, const NpyHeader& header, Convert convert) {
  Tensor tensor;
  tensor.shape = header.shape;
  const std::vector<T> data = ReadData<T>(file, header);
  tensor.data.resize(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    tensor.data[i] = convert(data[i]);
    if (!std::isfinite(tensor.data[i])) {
      throw InputError(fmt::format("{}: {} at {}", file.path().string(),
                                   std::isnan(tensor.data[i]) ? "NaN" : "Inf (in float32)",
                                   FormatIndex(header.shape, static_cast<std::int64_t>(i))));
    }
  }
  return tensor;
}

// The conversion of a double beyond float's range is undefined; infinity says the same.
float NarrowToFloat(double x) {
  constexpr double kLargest = 3.4028235677973366e38;  // rounds up to 2^128
  return std::abs(x) >= kLargest ? HUGE_VALF : static_cast<float>(x);
}

// The file's floats. Throws InputError for every other type.
template <typename Tensor, typename NarrowDouble>
Tensor ReadFloats(const InputFile& file, const NpyHeader& header, NarrowDouble narrow) {
  const std::string& descr = header.descr;
  if (descr == "<f2") return ConvertFloats<Tensor, std::uint16_t>(file, header, HalfToFloat);
  if (descr == "<f4") return ConvertFloats<Tensor, float>(file, header, std::identity());
  if (descr == "<f8") return ConvertFloats<Tensor, double>(file, header, narrow);
  const std::string path = file.path().string();
  if (descr.starts_with('>')) {
    throw InputError(
        fmt::format("{}: big-endian data ({}); save it little-endian", path, Printable(descr)));
  }
  throw InputError(fmt::format(
      "{}: dtype '{}' is not supported; expected int8, uint8, int16, uint16, int32, int64, "
      "float16, float32 or float64",
      path, Printable(descr)));
}

std::string_view DescrOf(DType dtype) {
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

void WriteData(const std::filesystem::path& path, std::string_view descr, const Shape& shape,
               const void* data, std::size_t bytes) {
  AtomicFile file(path);
  file.Write(MakeNpyHeader(std::string(descr), shape));
  file.Write(data, bytes);
  file.Commit();
}

}  // namespace

AnyTensor ReadNpy(const std::filesystem::path& path) {
  const InputFile file(path);
  const NpyHeader header = ReadNpyHeader(file);
  if (std::optional<IntTensor> ints = ReadInts(file, header)) return *std::move(ints);
  return ReadFloats<FloatTensor>(file, header, NarrowToFloat);
}

ExactTensor ReadExactNpy(const std::filesystem::path& path) {
  const InputFile file(path);
  const NpyHeader header = ReadNpyHeader(file);
  if (std::optional<IntTensor> ints = ReadInts(file, header)) return *std::move(ints);
  return ReadFloats<DoubleTensor>(file, header, std::identity());
}

IntTensor ReadIntNpy(const std::filesystem::path& path) {
  AnyTensor any = ReadNpy(path);
  if (auto* tensor = std::get_if<IntTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds floats; integers expected", path.string()));
}

FloatTensor ReadFloatNpy(const std::filesystem::path& path) {
  AnyTensor any = ReadNpy(path);
  if (auto* tensor = std::get_if<FloatTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds integers; floats expected", path.string()));
}

void WriteNpy(const std::filesystem::path& path, const IntTensor& tensor) {
  std::visit(
      [&](const auto& data) {
        WriteData(path, DescrOf(tensor.dtype()), tensor.shape(), data.data(),
                  data.size() * sizeof(data[0]));
      },
      tensor.storage());
}

void WriteNpy(const std::filesystem::path& path, const FloatTensor& tensor) {
  WriteData(path, "<f4", tensor.shape, tensor.data.data(), tensor.data.size() * sizeof(float));
}

}  // namespace qsim
