#include <algorithm>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/parallel.h"
#include "sim/run/run_images.h"

namespace qsim::run {

void AddBundleInputs(Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                     std::int64_t images, int threads) {
  const FloatSource floats = {model, inputs};
  const std::vector<std::string>& names = bundle.program.inputs;
  const std::set<std::string> wanted(names.begin(), names.end());
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < images; ++i) lengths.push_back(LengthOf(inputs, i));
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const bool equal = std::all_of(lengths.begin(), lengths.end(),
                                 [&](std::int64_t length) { return length == longest; });
  bundle.lengths = equal || bundle.program.MaxLength() == 0 ? std::vector<std::int64_t>() : lengths;
  for (const std::string& name : names) {
    const TensorInfo info = AtLength(bundle.program.Tensor(name), longest);
    Shape shape = info.shape;
    shape.insert(shape.begin(), images);
    bundle.inputs.insert_or_assign(name, IntTensor(info.dtype, std::move(shape)));
  }
  ParallelFor(images, threads, [&](std::int64_t image, int) {
    FloatTaps taps(floats, image, wanted);
    for (const std::string& name : names) {
      const IntTensor value = ProgramInput(bundle, floats, image, name, taps);
      std::visit(
          [&](auto& stacked) {
            const auto& values = std::get<std::decay_t<decltype(stacked)>>(value.storage());
            const auto each = std::ssize(stacked) / images;
            std::copy(values.begin(), values.end(), stacked.begin() + image * each);
          },
          bundle.inputs.at(name).storage());
    }
  });
}

}  // namespace qsim::run
