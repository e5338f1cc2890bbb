#include "sim/explain/tensor_file.h"

#include <fmt/format.h>

#include "sim/error.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::explain {

namespace fs = std::filesystem;

WideTensor Widen(const IntTensor& tensor) {
  WideTensor wide{tensor.shape(), {}, BitsOf(tensor.dtype()), IsSigned(tensor.dtype())};
  std::visit([&](const auto& values) { wide.values.assign(values.begin(), values.end()); },
             tensor.storage());
  return wide;
}

WideTensor ReadWideTensor(const fs::path& path, const std::optional<WordForm>& form) {
  // Nothing but digits: two's complement.
  const TensorFile file = ReadTensorFile(path, form ? form : WordForm());
  const auto* ints = std::get_if<IntTensor>(&file.tensor);
  if (ints == nullptr)
    throw InputError(fmt::format("{}: holds floats; integers expected", path.string()));
  WideTensor wide = Widen(*ints);
  wide.bits = file.bits;
  wide.is_signed = file.is_signed;
  if (wide.values.empty()) throw InputError(path.string() + ": holds no elements");
  if (wide.shape.empty()) wide.shape = {1};
  return wide;
}

std::vector<std::int64_t> ReadNumbers(const std::string& text, const std::string& option,
                                      std::int64_t lowest, std::int64_t highest) {
  std::vector<std::int64_t> values;
  const fs::path path(text);
  if (IsTensorFile(path)) {
    values = ReadWideTensor(path).values;
  } else {
    std::size_t begin = 0;
    while (begin <= text.size()) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::string item = text.substr(begin, end - begin);
      const auto value = ParseNumber<std::int64_t>(item);
      if (!value)
        throw InputError(fmt::format(
            "{}: '{}' is not an integer; give a number, a list like 1,2,3 or a .npy file", option,
            Printable(item)));
      values.push_back(*value);
      begin = end + 1;
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < lowest || values[i] > highest)
      throw InputError(fmt::format("{}: entry {} is {}; it must be in {}..{}", option, i, values[i],
                                   lowest, highest));
  }
  return values;
}

}  // namespace qsim::explain
