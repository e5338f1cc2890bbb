// Safetensors: an 8-byte little-endian header length, a JSON header, raw row-major tensors.
// Format: huggingface/safetensors, README "Format".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/io/tensors/float_tensor.h"
#include "sim/io/files/input_file.h"

namespace qsim::io {

class Safetensors {
 public:
  // Reads and checks the header only. Throws InputError: truncated file, header length beyond the
  // file, bad JSON, duplicate names, byte counts that contradict the shape, and offsets that
  // overlap, leave holes or leave the file.
  static Safetensors Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  std::vector<std::string> names() const;  // sorted
  bool Has(std::string_view name) const;
  // The stored dtype word: "F32", "BF16", "I64", ...
  const std::string& DTypeOf(std::string_view name) const;
  const Shape& ShapeOf(std::string_view name) const;

  // F32, F16 or BF16 as float32. Throws InputError: no such tensor (names the nearest one), another
  // dtype, a shape other than `expected` (prints both), NaN or Inf (with the index).
  FloatTensor Load(std::string_view name,
                   const std::optional<Shape>& expected = std::nullopt) const;
  // The same check alone, of F64 too; integers pass.
  void CheckFinite(std::string_view name) const;

 private:
  struct Entry {
    std::string dtype;
    Shape shape;
    std::uint64_t begin = 0;  // in the file
    std::uint64_t bytes = 0;
  };
  [[noreturn]] void FailNotFinite(std::string_view name, const Shape& shape, std::size_t element,
                                  bool is_nan) const;
  const Entry& Find(std::string_view name) const;
  void ParseHeader(std::string_view header, std::uint64_t data_offset);

  std::shared_ptr<const InputFile> file_;
  std::map<std::string, Entry, std::less<>> entries_;
};

enum class WeightDType : std::uint8_t { kF32, kF16, kBf16 };

struct SafetensorsItem {
  std::string name;
  WeightDType dtype = WeightDType::kF32;
  FloatTensor tensor;
};

// Writes the tensors in the given order; atomic.
void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items);

}  // namespace qsim::io
