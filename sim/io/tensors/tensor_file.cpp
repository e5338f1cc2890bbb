#include "sim/io/tensors/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "sim/error.h"

namespace qsim::io {
namespace {

constexpr auto kMemoryFiles =
    std::to_array<std::string_view>({".memh", ".hex", ".mem", ".txt", ".dat"});

std::string EndingOf(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return ending;
}

bool IsMemoryFile(const std::filesystem::path& path) {
  const std::string ending = EndingOf(path);
  return std::find(kMemoryFiles.begin(), kMemoryFiles.end(), ending) != kMemoryFiles.end();
}

std::string KindOf(std::string_view ending) {
  if (ending == ".coe" || ending == ".mif")
    return fmt::format("a {} file of an FPGA vendor; write the words alone, for $readmemh",
                       ending.substr(1));
  if (ending == ".npz") return "an archive of arrays; save one by numpy.save(path, arrays['name'])";
  if (ending == ".s19" || ending == ".srec" || ending == ".mot")
    return "Motorola S-records; convert them to $readmemh's words";
  if (ending == ".pt" || ending == ".pth")
    return "a pickled object of PyTorch; save numpy.save(path, tensor.numpy())";
  if (ending == ".bin" || ending == ".raw")
    return "bytes without a shape; save them by numpy.save(path, numpy.fromfile(...))";
  return "not a tensor file";
}

}  // namespace

const Shape& TensorFile::shape() const {
  if (const auto* ints = std::get_if<IntTensor>(&tensor)) return ints->shape();
  return std::get<FloatTensor>(tensor).shape;
}

bool IsTensorFile(const std::filesystem::path& path) {
  return EndingOf(path) == ".npy" || IsMemoryFile(path);
}

bool MayBeSomethingElse(const std::filesystem::path& path) {
  const std::string ending = EndingOf(path);
  return ending == ".txt" || ending == ".dat";
}

std::optional<WordForm> StatedForm(const std::filesystem::path& path) {
  if (IsMemoryFile(path)) return SidecarForm(path);
  if (EndingOf(path) != ".npy") return std::nullopt;
  const NpyReader file(path);
  if (!file.dtype()) return std::nullopt;
  WordForm form;
  form.shape = file.shape();
  form.dtype = *file.dtype();
  form.bits = BitsOf(form.dtype);
  form.is_signed = IsSigned(form.dtype);
  return form;
}

TensorFile ReadTensorFile(const std::filesystem::path& path, const std::optional<WordForm>& form) {
  TensorFile file;
  if (IsMemoryFile(path)) {
    Memh memh = ReadMemh(path, form);
    file.dtype = fmt::format("{}int{}", memh.is_signed ? "" : "u", memh.bits);
    file.bits = memh.bits;
    file.is_signed = memh.is_signed;
    file.is_words = true;
    file.is_stated = memh.has_sidecar;
    file.tensor = std::move(memh.tensor);
    return file;
  }
  const std::string ending = EndingOf(path);
  if (ending != ".npy") {
    throw InputError(
        fmt::format("{}: {}; {} are read", path.string(), KindOf(ending), kTensorFiles));
  }
  file.tensor = ReadNpy(path);
  if (const auto* ints = std::get_if<IntTensor>(&file.tensor)) {
    file.dtype = Name(ints->dtype());
    file.bits = BitsOf(ints->dtype());
    file.is_signed = IsSigned(ints->dtype());
  } else {
    file.dtype = "float32";
  }
  return file;
}

std::filesystem::path FindTensorFile(const std::filesystem::path& directory,
                                     const std::string& name) {
  const std::filesystem::path npy = directory / (name + ".npy");
  std::error_code error;
  if (std::filesystem::exists(npy, error)) return npy;
  for (const std::string_view ending : kMemoryFiles) {
    std::filesystem::path words = directory / (name + std::string(ending));
    if (std::filesystem::exists(words, error)) return words;
  }
  return npy;
}

}  // namespace qsim::io
