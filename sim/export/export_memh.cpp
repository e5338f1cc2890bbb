#include <fmt/format.h>

#include "sim/error.h"
#include "sim/io/tensors/memh.h"
#include "sim/io/files/output_directory.h"
#include "sim/export/export_formats.h"

namespace qsim::exporting {
namespace {

namespace fs = std::filesystem;

// The storage type of a parameter's fixed width.
DType StorageOf(const ExportInts& ints) {
  switch (ints.bits) {
    case 8:
      return ints.is_signed ? DType::kInt8 : DType::kUint8;
    case 16:
      return ints.is_signed ? DType::kInt16 : DType::kUint16;
    case 32:
      // There is no uint32 tensor; the unsigned 32-bit parameters are counts and sizes that int32
      // holds.
      return DType::kInt32;
    case 64:
      return DType::kInt64;
    default:
      throw InternalError(fmt::format("export: no storage type of {} bits", ints.bits));
  }
}

IntTensor TensorOf(const ExportParameter& parameter, const ExportInts& ints) {
  IntTensor tensor(StorageOf(ints), parameter.scalar() ? Shape{1} : parameter.shape);
  std::visit(
      [&](auto& storage) {
        using Element = typename std::decay_t<decltype(storage)>::value_type;
        for (std::size_t i = 0; i < storage.size(); ++i)
          storage[i] = static_cast<Element>(ints.values[i]);
      },
      tensor.storage());
  return tensor;
}

// Names become file names: nothing in them may lead out of the directory.
std::string FileName(const std::string& name) {
  if (name.find('/') != std::string::npos || name.starts_with('.'))
    throw InputError(fmt::format("export: '{}' cannot be a file name", name));
  return name + ".memh";
}

void WriteGroup(const ExportGroup& group, const fs::path& directory) {
  for (const ExportParameter& parameter : group.parameters) {
    const std::string name = group.name + "." + parameter.name;
    if (const auto* ints = std::get_if<ExportInts>(&parameter.value)) {
      WriteMemh(directory / FileName(name), name, TensorOf(parameter, *ints));
    } else if (const auto* choice = std::get_if<ExportChoice>(&parameter.value)) {
      const ExportInts code{8, false, {choice->code}};
      WriteMemh(directory / FileName(name), name, TensorOf(parameter, code));
    }
  }
}

void CreateDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directory(path, error);
  if (error)
    throw InputError(fmt::format("{}: cannot be created: {}", path.string(), error.message()));
}

}  // namespace

void ExportMemh(const ExportTable& table, const Bundle& bundle, OutputDirectory& output) {
  const fs::path parameters = output.path() / "parameters";
  const fs::path constants = output.path() / "constants";
  CreateDirectory(parameters);
  CreateDirectory(constants);
  WriteGroup(table.hardware, parameters);
  for (const ExportGroup& group : table.operations) WriteGroup(group, parameters);
  for (const auto& [name, tensor] : bundle.program.constants)
    WriteMemh(constants / FileName(name), name, tensor);
  output.Commit();
}

}  // namespace qsim::exporting
