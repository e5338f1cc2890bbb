#include "sim/io/tensors/npy.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/tensors/half.h"
#include "sim/io/tensors/npy_header.h"
#include "sim/text/printable.h"
#include "sim/io/tensors/shape.h"

namespace qsim::io {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the data are read and written as they are");

// Throws unless the data part is exactly what the header says.
void CheckSize(const InputFile& file, const NpyHeader& header, std::uint64_t element_bytes) {
  const std::uint64_t available = file.size() - header.data_offset;
  const std::uint64_t elements = static_cast<std::uint64_t>(header.elements);
  const std::string name = file.path().string();
  if (elements > available / element_bytes) {
    throw InputError(fmt::format(
        "{}: truncated: shape {} of {}-byte elements needs more than the {} bytes of data", name,
        FormatShape(header.shape), element_bytes, available));
  }
  if (elements * element_bytes != available) {
    throw InputError(fmt::format("{}: {} trailing bytes after the data of shape {}", name,
                                 available - elements * element_bytes, FormatShape(header.shape)));
  }
}

// Elements [first, first + size) of a file whose size has been checked.
template <typename T>
std::vector<T> ReadData(const InputFile& file, const NpyHeader& header, std::int64_t first,
                        std::int64_t size) {
  std::vector<T> data(static_cast<std::size_t>(size));
  file.ReadAt(header.data_offset + static_cast<std::uint64_t>(first) * sizeof(T), data.data(),
              data.size() * sizeof(T));
  return data;
}

// The conversion of a double beyond float's range is undefined; infinity says the same.
float Narrowed(double x) {
  constexpr double kLargest = 3.4028235677973366e38;  // rounds up to 2^128
  return std::abs(x) >= kLargest ? HUGE_VALF : static_cast<float>(x);
}

// Calls ints(T{}) or floats(T{}, conversion) for the stored type T. The conversion of float64 is
// the caller's, of narrower types it is exact.
template <typename Ints, typename Floats, typename FromDouble>
auto WithStoredType(const InputFile& file, const std::string& descr, Ints ints, Floats floats,
                    FromDouble from_double) {
  if (descr == "|i1" || descr == "<i1") return ints(std::int8_t{});
  if (descr == "|u1" || descr == "<u1") return ints(std::uint8_t{});
  if (descr == "<i2") return ints(std::int16_t{});
  if (descr == "<u2") return ints(std::uint16_t{});
  if (descr == "<i4") return ints(std::int32_t{});
  if (descr == "<i8") return ints(std::int64_t{});
  if (descr == "<f2") return floats(std::uint16_t{}, HalfToFloat);
  if (descr == "<f4") return floats(float{}, std::identity());
  if (descr == "<f8") return floats(double{}, from_double);
  if (descr.starts_with('>')) {
    throw InputError(fmt::format("{}: big-endian data ({}); save it little-endian",
                                 file.path().string(), Printable(descr)));
  }
  throw InputError(fmt::format(
      "{}: dtype '{}' is not supported; expected int8, uint8, int16, uint16, int32, int64, "
      "float16, float32 or float64",
      file.path().string(), Printable(descr)));
}

// The elements [first, first + size of shape); Tensor holds those of a file of floats.
template <typename Tensor, typename FromDouble>
std::variant<IntTensor, Tensor> ReadElements(const InputFile& file, const NpyHeader& header,
                                             Shape shape, std::int64_t first,
                                             FromDouble from_double) {
  using Result = std::variant<IntTensor, Tensor>;
  const std::int64_t size = ElementCount(shape);
  return WithStoredType(
      file, header.descr,
      [&](auto stored) -> Result {
        return IntTensor(std::move(shape), ReadData<decltype(stored)>(file, header, first, size));
      },
      [&](auto stored, auto convert) -> Result {
        const auto data = ReadData<decltype(stored)>(file, header, first, size);
        Tensor tensor;
        tensor.shape = std::move(shape);
        tensor.data.resize(data.size());
        for (std::size_t i = 0; i < data.size(); ++i) {
          tensor.data[i] = convert(data[i]);
          if (std::isfinite(tensor.data[i])) continue;
          throw InputError(
              fmt::format("{}: {} at {}", file.path().string(),
                          std::isnan(tensor.data[i]) ? "NaN" : "Inf (in float32)",
                          FormatIndex(header.shape, first + static_cast<std::int64_t>(i))));
        }
        return tensor;
      },
      from_double);
}

void WriteData(const std::filesystem::path& path, std::string_view descr, const Shape& shape,
               const void* data, std::size_t bytes) {
  AtomicFile file(path);
  file.Write(MakeNpyHeader(std::string(descr), shape));
  file.Write(data, bytes);
  file.Commit();
}

}  // namespace

NpyReader::NpyReader(const std::filesystem::path& path)
    : file_(path), header_(ReadNpyHeader(file_)) {
  WithStoredType(
      file_, header_.descr,
      [&](auto stored) {
        CheckSize(file_, header_, sizeof stored);
        dtype_ = IntTensor(Shape{0}, std::vector<decltype(stored)>{}).dtype();
      },
      [&](auto stored, auto) { CheckSize(file_, header_, sizeof stored); }, Narrowed);
}

AnyTensor NpyReader::Read() const {
  return ReadElements<FloatTensor>(file_, header_, header_.shape, 0, Narrowed);
}

AnyTensor NpyReader::Read(std::int64_t first, std::int64_t count) const {
  Shape shape = header_.shape;
  const std::int64_t per_slice = header_.elements / shape.at(0);
  shape[0] = count;
  return ReadElements<FloatTensor>(file_, header_, std::move(shape), first * per_slice, Narrowed);
}

ExactTensor NpyReader::ReadExact() const {
  return ReadElements<DoubleTensor>(file_, header_, header_.shape, 0, std::identity());
}

AnyTensor ReadNpy(const std::filesystem::path& path) { return NpyReader(path).Read(); }

ExactTensor ReadExactNpy(const std::filesystem::path& path) { return NpyReader(path).ReadExact(); }

IntTensor AsInts(AnyTensor any, const std::filesystem::path& path) {
  if (auto* tensor = std::get_if<IntTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds floats; integers expected", path.string()));
}

FloatTensor AsFloats(AnyTensor any, const std::filesystem::path& path) {
  if (auto* tensor = std::get_if<FloatTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds integers; floats expected", path.string()));
}

IntTensor ReadIntNpy(const std::filesystem::path& path) { return AsInts(ReadNpy(path), path); }

FloatTensor ReadFloatNpy(const std::filesystem::path& path) {
  return AsFloats(ReadNpy(path), path);
}

void WriteNpy(const std::filesystem::path& path, const IntTensor& tensor) {
  std::visit(
      [&](const auto& data) {
        WriteData(path, NpyDescr(tensor.dtype()), tensor.shape(), data.data(),
                  data.size() * sizeof(data[0]));
      },
      tensor.storage());
}

void WriteNpy(const std::filesystem::path& path, const FloatTensor& tensor) {
  WriteData(path, "<f4", tensor.shape, tensor.data.data(), tensor.data.size() * sizeof(float));
}

}  // namespace qsim::io
