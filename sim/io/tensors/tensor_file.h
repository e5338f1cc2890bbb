// Files that hold one tensor each: arrays of numpy, and memory files of Verilog.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sim/io/tensors/memh.h"
#include "sim/io/tensors/npy.h"

namespace qsim::io {

inline constexpr const char* kTensorFiles = ".npy, .memh, .hex, .mem, .txt and .dat";

struct TensorFile {
  AnyTensor tensor;
  std::string dtype;  // "int8", "float32"; of a memory file with the width of its elements
  int bits = 32;      // of an element
  bool is_signed = true;
  bool is_words = false;  // a memory file
  bool is_stated = true;  // false: nothing but digits; what they stand for was taken from elsewhere

  const Shape& shape() const;
};

// By its name: .npy, or one of the endings that people give memory files.
bool IsTensorFile(const std::filesystem::path& path);
// .txt and .dat may be anything.
bool MayBeSomethingElse(const std::filesystem::path& path);

// What the file says of itself: an integer .npy, or a memory file with its sidecar.
std::optional<WordForm> StatedForm(const std::filesystem::path& path);

// A memory file without a sidecar is read as `form` says (memh.h): the form of the tensor that it
// is to be compared with. Throws InputError, for other kinds of file too.
TensorFile ReadTensorFile(const std::filesystem::path& path,
                          const std::optional<WordForm>& form = {});

// The file of this name in a directory, whatever its ending; NAME.npy where there is none.
std::filesystem::path FindTensorFile(const std::filesystem::path& directory,
                                     const std::string& name);

}  // namespace qsim::io
