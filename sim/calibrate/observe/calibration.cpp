#include "sim/calibrate/observe/calibration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "sim/error.h"
#include "sim/semantics/float_reference.h"
#include "sim/parallel.h"

namespace qsim {
namespace {

template <typename T>
std::vector<T> Slice(const std::vector<T>& values, std::int64_t begin, std::int64_t count) {
  return {values.begin() + begin, values.begin() + begin + count};
}

template <typename T>
RealRange RangeOfValues(const std::vector<T>& values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  return {static_cast<double>(*min), static_cast<double>(*max)};
}

RealRange RangeOfInputs(const ModelInputs& inputs) {
  const auto* images = std::get_if<ImageInputs>(&inputs.data);
  return images != nullptr ? RangeOfValues(images->pixels.As<std::uint8_t>())
                           : RangeOfValues(std::get<FloatTensor>(inputs.data).data);
}

// "[2, 17]" of a flat index.
std::string IndexIn(const Shape& shape, std::int64_t element) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// What one input leaves of a block: the tensors that are observed.
struct Taps {
  std::map<std::string, FloatTensor> values;
  std::array<double, 8> softmax_error{};
};

class Pass {
 public:
  Pass(const VitModel& model, const CalibrationInputs& inputs, const CalibrationSettings& settings,
       Observations& observations)
      : reference_(model),
        depth_(model.geometry.depth),
        inputs_(inputs),
        threads_(settings.threads),
        batch_(settings.batch),
        observations_(observations) {}

  void Run() {
    for (first_ = 0; first_ < inputs_.count; first_ += static_cast<std::int64_t>(x_.size())) {
      Embed(std::min(batch_, inputs_.count - first_));
      const auto& blocks = observations_.blocks();
      // Behind the last block that is observed only the head is of interest.
      const std::int64_t end =
          observations_.head() ? depth_ : (blocks.empty() ? 0 : blocks.rbegin()->first + 1);
      for (std::int64_t block = 0; block < end; ++block) Block(block);
      if (observations_.head()) Head();
    }
  }

 private:
  void Embed(std::int64_t count) {
    x_.resize(static_cast<std::size_t>(count));
    std::int64_t done = 0;
    while (done < count) {
      const ModelInputs piece =
          inputs_.read(first_ + done, std::min<std::int64_t>(2 * threads_, count - done));
      ParallelFor(piece.count(), threads_, [&](std::int64_t i, int) {
        x_[static_cast<std::size_t>(done + i)] =
            reference_.Embed(piece, i, [&](const std::string& name, const FloatTensor& value) {
              CheckFinite(name, value, done + i);
            });
      });
      observations_.IncludeInputs(piece.count(), RangeOfInputs(piece));
      done += piece.count();
    }
  }

  // Only a few inputs' tensors exist at once, however many make a batch.
  template <typename Step, typename Take>
  void InPieces(Step step, Take take) {
    const auto count = static_cast<std::int64_t>(x_.size());
    for (std::int64_t first = 0; first < count; first += 2 * threads_) {
      const std::int64_t size = std::min<std::int64_t>(2 * threads_, count - first);
      std::vector<Taps> taps(static_cast<std::size_t>(size));
      ParallelFor(size, threads_,
                  [&](std::int64_t i, int) { step(first + i, taps[static_cast<std::size_t>(i)]); });
      take(taps);
    }
  }

  // Each tensor's observer by itself, its inputs in order.
  void Observe(const std::vector<Taps>& taps, TensorObservers& tensors) const {
    const std::vector<std::string> names = tensors.names();
    ParallelFor(static_cast<std::int64_t>(names.size()), threads_, [&](std::int64_t n, int) {
      const std::string& name = names[static_cast<std::size_t>(n)];
      for (const Taps& input : taps) {
        const auto found = input.values.find(name);
        if (found != input.values.end()) tensors.Add(name, found->second);
      }
    });
  }

  void Block(std::int64_t block) {
    const auto found = observations_.blocks().find(block);
    BlockObservations* observed = found == observations_.blocks().end() ? nullptr : &found->second;
    const std::string prefix = fmt::format("blocks.{}.", block);
    InPieces(
        [&](std::int64_t i, Taps& taps) {
          FloatTensor& x = x_[static_cast<std::size_t>(i)];
          const FloatTensor next =
              reference_.Block(block, x, [&](const std::string& name, const FloatTensor& value) {
                CheckFinite(prefix + name, value, i);
                if (observed == nullptr) return;
                if (name == "intSoft") taps.softmax_error = SoftmaxErrors(value);
                if (observed->tensors.Wants(name)) taps.values.emplace(name, value);
              });
          x = next;
        },
        [&](const std::vector<Taps>& taps) {
          if (observed == nullptr) return;
          Observe(taps, observed->tensors);
          for (const Taps& input : taps) {
            for (std::size_t j = 0; j < input.softmax_error.size(); ++j) {
              observed->softmax_error[j].Add(input.softmax_error[j]);
            }
          }
        });
    if (observed != nullptr) observed->tensors.EndBatch();
  }

  void Head() {
    TensorObservers& tensors = *observations_.head();
    InPieces(
        [&](std::int64_t i, Taps& taps) {
          reference_.Head(x_[static_cast<std::size_t>(i)],
                          [&](const std::string& name, const FloatTensor& value) {
                            CheckFinite(name, value, i);
                            if (tensors.Wants(name)) taps.values.emplace(name, value);
                          });
        },
        [&](const std::vector<Taps>& taps) { Observe(taps, tensors); });
    tensors.EndBatch();
  }

  void CheckFinite(const std::string& name, const FloatTensor& value, std::int64_t input) const {
    const auto found = std::find_if(value.data.begin(), value.data.end(),
                                    [](float x) { return !std::isfinite(x); });
    if (found == value.data.end()) return;
    throw InputError(fmt::format(
        "{}{} is {} for calibration input {}: the float network leaves the range of float32 "
        "there; check the weights and inputs that lead to it",
        name, IndexIn(value.shape, found - value.data.begin()),
        std::isnan(*found) ? "NaN" : (*found > 0 ? "Inf" : "-Inf"),
        inputs_.offset + first_ + input));
  }

  FloatReference reference_;
  std::int64_t depth_;
  const CalibrationInputs& inputs_;
  int threads_;
  std::int64_t batch_;
  Observations& observations_;
  std::int64_t first_ = 0;  // of the batch
  // The residual stream of the batch. Copied into, so that its memory is taken once: tensors that
  // come and go among smaller ones leave holes.
  std::vector<FloatTensor> x_;
};

}  // namespace

InputSource InputSource::From(const InputSpec& spec) {
  return {spec.mean, spec.stddev, (spec.images ? *spec.images : spec.tokens.front()).string()};
}

CalibrationInputs CalibrationInputs::From(const ModelInputs& inputs) {
  CalibrationInputs result;
  result.count = inputs.count();
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    result.source = {images->mean, images->stddev, {}};
  }
  result.read = [&inputs](std::int64_t first, std::int64_t most) {
    ModelInputs piece;
    const std::int64_t taken = std::min(most, inputs.count() - first);
    if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
      Shape shape = images->pixels.shape();
      const std::int64_t each = ElementCount(shape) / shape[0];
      shape[0] = taken;
      IntTensor pixels(DType::kUint8, shape);
      pixels.As<std::uint8_t>() =
          Slice(images->pixels.As<std::uint8_t>(), first * each, taken * each);
      piece.data = ImageInputs{std::move(pixels), images->mean, images->stddev};
      return piece;
    }
    const auto& tokens = std::get<FloatTensor>(inputs.data);
    const std::int64_t each = tokens.shape[1] * tokens.shape[2];
    piece.data = FloatTensor{{taken, tokens.shape[1], tokens.shape[2]},
                             Slice(tokens.data, first * each, taken * each)};
    return piece;
  };
  return result;
}

CalibrationInputs CalibrationInputs::From(const InputReader& reader, const InputSpec& spec,
                                          std::int64_t first, std::int64_t count) {
  return {count, first, InputSource::From(spec),
          [&reader, first](std::int64_t from, std::int64_t most) {
            return reader.Read(first + from, reader.EqualRun(first + from, most));
          }};
}

void ObserveInputs(const VitModel& model, const CalibrationInputs& inputs,
                   const CalibrationSettings& settings, Observations& observations) {
  Pass(model, inputs, settings, observations).Run();
}

}  // namespace qsim
