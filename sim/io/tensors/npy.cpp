#include "sim/io/tensors/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/tensors/half.h"
#include "sim/io/tensors/npy_header.h"
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

// From the order in which the first axis is the fastest to the one in which the last is.
template <typename T>
std::vector<T> InRowMajorOrder(const std::vector<T>& data, const Shape& shape) {
  std::vector<T> sorted(data.size());
  Shape index(shape.size());
  Shape stride(shape.size(), 1);
  for (std::size_t axis = 1; axis < shape.size(); ++axis)
    stride[axis] = stride[axis - 1] * shape[axis - 1];
  std::int64_t from = 0;
  for (T& value : sorted) {
    value = data[static_cast<std::size_t>(from)];
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < shape[axis]) break;
      from -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return sorted;
}

// The elements of `shape`, from element `first` on, of a file whose size has been checked: whole
// slices of the first axis.
template <typename T>
std::vector<T> ReadData(const InputFile& file, const NpyHeader& header, std::int64_t first,
                        const Shape& shape) {
  std::vector<T> data(static_cast<std::size_t>(ElementCount(shape)));
  if (data.empty()) return data;
  const auto read = [&](std::int64_t from, std::size_t to, std::int64_t count) {
    file.ReadAt(header.data_offset + static_cast<std::uint64_t>(from) * sizeof(T), &data[to],
                static_cast<std::size_t>(count) * sizeof(T));
  };
  const bool whole = shape == header.shape;
  if (header.fortran_order && !whole) {
    const std::int64_t slices = header.shape[0];
    const std::int64_t each = header.elements / slices;
    for (std::int64_t i = 0; i < each; ++i)
      read(i * slices + first / each, static_cast<std::size_t>(i * shape[0]), shape[0]);
  } else {
    read(first, 0, static_cast<std::int64_t>(data.size()));
  }
  if (header.big_endian) {
    for (T& value : data) {
      auto bytes = std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
      std::reverse(bytes.begin(), bytes.end());
      value = std::bit_cast<T>(bytes);
    }
  }
  return header.fortran_order ? InRowMajorOrder(data, shape) : data;
}

// The conversion of a double beyond float's range is undefined; infinity says the same.
float Narrowed(double x) {
  constexpr double kLargest = 3.4028235677973366e38;  // rounds up to 2^128
  return std::abs(x) >= kLargest ? HUGE_VALF : static_cast<float>(x);
}

// Calls ints(T{}, U{}) or floats(T{}, conversion) for the stored type T and the type U that holds
// it here. The conversion of float64 is the caller's, of narrower types it is exact.
template <typename Ints, typename Floats, typename FromDouble>
auto WithStoredType(const NpyHeader& header, Ints ints, Floats floats, FromDouble from_double) {
  switch (header.kind) {
    case 'b':
      return ints(std::uint8_t{}, std::uint8_t{});
    case 'i':
      if (header.bytes == 1) return ints(std::int8_t{}, std::int8_t{});
      if (header.bytes == 2) return ints(std::int16_t{}, std::int16_t{});
      if (header.bytes == 4) return ints(std::int32_t{}, std::int32_t{});
      return ints(std::int64_t{}, std::int64_t{});
    case 'u':
      if (header.bytes == 1) return ints(std::uint8_t{}, std::uint8_t{});
      if (header.bytes == 2) return ints(std::uint16_t{}, std::uint16_t{});
      if (header.bytes == 4) return ints(std::uint32_t{}, std::int64_t{});
      return ints(std::uint64_t{}, std::int64_t{});
    case 'f':
      if (header.bytes == 2) return floats(std::uint16_t{}, HalfToFloat);
      if (header.bytes == 4) return floats(float{}, std::identity());
      return floats(double{}, from_double);
    default:
      throw InternalError("a .npy file of an unknown kind");
  }
}

// The first value that int64 does not hold, if any.
template <typename T>
void CheckRange(const InputFile& file, const NpyHeader& header, const std::vector<T>& data,
                std::int64_t first) {
  const auto at = std::find_if(data.begin(), data.end(), [](T x) {
    return std::cmp_greater(x, std::numeric_limits<std::int64_t>::max());
  });
  if (at == data.end()) return;
  throw InputError(fmt::format("{}: {} at {} is beyond int64; save it as a.astype(numpy.int64)",
                               file.path().string(), *at,
                               FormatIndex(header.shape, first + (at - data.begin()))));
}

// The elements [first, first + size of shape); Tensor holds those of a file of floats.
template <typename Tensor, typename FromDouble>
std::variant<IntTensor, Tensor> ReadElements(const InputFile& file, const NpyHeader& header,
                                             Shape shape, std::int64_t first,
                                             FromDouble from_double) {
  using Result = std::variant<IntTensor, Tensor>;
  return WithStoredType(
      header,
      [&](auto stored, auto held) -> Result {
        using Held = decltype(held);
        auto data = ReadData<decltype(stored)>(file, header, first, shape);
        CheckRange(file, header, data, first);
        if (header.kind == 'b') {
          for (auto& value : data) value = value != 0 ? 1 : 0;
        }
        if constexpr (std::is_same_v<decltype(stored), Held>) {
          return IntTensor(std::move(shape), std::move(data));
        } else {
          return IntTensor(std::move(shape), std::vector<Held>(data.begin(), data.end()));
        }
      },
      [&](auto stored, auto convert) -> Result {
        const auto data = ReadData<decltype(stored)>(file, header, first, shape);
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

NpyReader::NpyReader(InputFile file) : file_(std::move(file)), header_(ReadNpyHeader(file_)) {
  CheckSize(file_, header_, static_cast<std::uint64_t>(header_.bytes));
  WithStoredType(
      header_,
      [&](auto, auto held) { dtype_ = IntTensor(Shape{0}, std::vector<decltype(held)>{}).dtype(); },
      [](auto, auto) {}, Narrowed);
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

ExactTensor ReadExactNpy(InputFile file) { return NpyReader(std::move(file)).ReadExact(); }

IntTensor AsInts(AnyTensor any, const std::filesystem::path& path) {
  if (auto* tensor = std::get_if<IntTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds floats; integers expected", path.string()));
}

FloatTensor AsFloats(AnyTensor any, const std::filesystem::path& path) {
  if (auto* tensor = std::get_if<FloatTensor>(&any)) return std::move(*tensor);
  throw InputError(fmt::format("{}: holds integers; floats expected", path.string()));
}

IntTensor ReadIntNpy(const std::filesystem::path& path) { return ReadIntNpy(InputFile(path)); }

IntTensor ReadIntNpy(InputFile file) {
  const NpyReader reader(std::move(file));
  return AsInts(reader.Read(), reader.path());
}

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
