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
#include "sim/inputs/inputs_hash.h"
#include "sim/parallel.h"
#include "sim/semantics/float_recurrence.h"
#include "sim/semantics/float_run.h"

namespace qsim::calibrate {
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
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data))
    return RangeOfValues(images->pixels.As<std::uint8_t>());
  if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data))
    return RangeOfValues(tokens->ids.As<std::int32_t>());
  return RangeOfValues(std::get<FloatTensor>(inputs.data).data);
}

// The inputs first .. first + count of what has an axis of inputs in front.
FloatTensor Slice(const FloatTensor& all, std::int64_t first, std::int64_t count) {
  FloatTensor piece{all.shape, {}};
  const std::int64_t each = ElementCount(all.shape) / all.shape[0];
  piece.shape[0] = count;
  piece.data = Slice(all.data, first * each, count * each);
  return piece;
}

template <typename T>
IntTensor Slice(const IntTensor& all, std::int64_t first, std::int64_t count) {
  Shape shape = all.shape();
  const std::int64_t each = ElementCount(shape) / shape[0];
  shape[0] = count;
  return {std::move(shape), Slice(all.As<T>(), first * each, count * each)};
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

// What one input leaves of a part: the values of the tensors that are observed, in their order.
using Seen = std::vector<std::optional<FloatTensor>>;

class Pass {
 public:
  Pass(const network::Network& network, const CalibrationInputs& inputs,
       const CalibrationSettings& settings, Observations& observations)
      : run_(network),
        inputs_(inputs),
        threads_(settings.threads),
        batch_(settings.batch),
        observations_(observations) {
    // Observers of one node stand side by side and share its value.
    std::size_t place = 0;
    for (const Observed& seen : observations.tensors()) {
      if (places_.try_emplace(seen.node->name, place).second) ++place;
    }
  }

  void Run() {
    // Behind the last part that is observed nothing is of interest.
    const std::vector<Observed>& tensors = observations_.tensors();
    const int last = tensors.empty() ? 0 : tensors.back().node->part;
    for (first_ = 0; first_ < inputs_.count; first_ += static_cast<std::int64_t>(states_.size())) {
      Read(std::min(batch_, inputs_.count - first_));
      for (int part = 0; part <= last; ++part) Part(part);
    }
  }

 private:
  void Read(std::int64_t count) {
    states_.resize(static_cast<std::size_t>(count));
    std::int64_t done = 0;
    while (done < count) {
      const ModelInputs piece =
          inputs_.read(first_ + done, std::min<std::int64_t>(2 * threads_, count - done));
      ParallelFor(piece.count(), threads_, [&](std::int64_t i, int) {
        states_[static_cast<std::size_t>(done + i)] = run_.Begin(piece, i);
      });
      observations_.IncludeInputs(piece.count(), RangeOfInputs(piece));
      for (const FloatTensor& more : piece.more)
        observations_.IncludeInputs(0, RangeOfValues(more.data));
      done += piece.count();
    }
  }

  // Only a few inputs' tensors exist at once, however many make a batch.
  void Part(int part) {
    std::vector<Observed*> here;
    for (Observed& seen : observations_.tensors()) {
      if (seen.node->part == part) here.push_back(&seen);
    }
    const auto place = [&](const Observed& seen) { return places_.at(seen.node->name); };
    const std::size_t first_place = here.empty() ? 0 : place(*here.front());
    const std::size_t places = here.empty() ? 0 : place(*here.back()) - first_place + 1;
    const auto count = static_cast<std::int64_t>(states_.size());
    for (std::int64_t first = 0; first < count; first += 2 * threads_) {
      const std::int64_t size = std::min<std::int64_t>(2 * threads_, count - first);
      std::vector<Seen> seen(static_cast<std::size_t>(size), Seen(places));
      ParallelFor(size, threads_, [&](std::int64_t i, int) {
        FloatRun::State& state = states_[static_cast<std::size_t>(first + i)];
        run_.Part(part, state, [&](const network::Node& node, const FloatTensor& value) {
          CheckFinite(node.name, value, first + i);
          const auto found = places_.find(node.name);
          if (found == places_.end()) return;
          seen[static_cast<std::size_t>(i)][found->second - first_place] =
              Observable(node, value, state);
        });
      });
      // Each tensor's observer by itself, its inputs in order.
      ParallelFor(static_cast<std::int64_t>(here.size()), threads_, [&](std::int64_t n, int) {
        Observed& observed = *here[static_cast<std::size_t>(n)];
        for (const Seen& input : seen) observed.Add(*input[place(observed) - first_place]);
      });
    }
    for (Observed* tensor : here) {
      if (tensor->observer != nullptr) tensor->observer->EndBatch();
    }
  }

  // A state must hold what it was on the way, not only what is left.
  static FloatTensor Observable(const network::Node& node, const FloatTensor& value,
                                const FloatRun::State& state) {
    const auto* last = std::get_if<network::FinalState>(&node.function);
    if (last == nullptr) return value;
    std::vector<const FloatTensor*> inputs;
    for (const std::string& input : node.inputs) inputs.push_back(&state.at(input));
    return semantics::FloatStatePeak(*last, inputs);
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

  FloatRun run_;
  const CalibrationInputs& inputs_;
  int threads_;
  std::int64_t batch_;
  Observations& observations_;
  std::map<std::string, std::size_t> places_;  // of a node among the observed
  std::int64_t first_ = 0;                     // of the batch
  std::vector<FloatRun::State> states_;        // of the batch's inputs, behind the last part
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
    for (const FloatTensor& more : inputs.more) piece.more.push_back(Slice(more, first, taken));
    if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
      piece.data = ImageInputs{Slice<std::uint8_t>(images->pixels, first, taken), images->mean,
                               images->stddev};
      return piece;
    }
    if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data)) {
      piece.data = TokenInputs{
          Slice<std::int32_t>(tokens->ids, first, taken),
          tokens->lengths.empty() ? tokens->lengths : Slice(tokens->lengths, first, taken)};
      return piece;
    }
    piece.data = Slice(std::get<FloatTensor>(inputs.data), first, taken);
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

std::string HashOf(const CalibrationInputs& inputs) {
  constexpr std::int64_t kPiece = 32;  // in memory at once
  Sha256 hash;
  for (std::int64_t first = 0; first < inputs.count;) {
    const ModelInputs piece = inputs.read(first, std::min(kPiece, inputs.count - first));
    AddTo(hash, piece);
    first += piece.count();
  }
  return hash.Finish();
}

void ObserveInputs(const network::Network& network, const CalibrationInputs& inputs,
                   const CalibrationSettings& settings, Observations& observations) {
  Pass(network, inputs, settings, observations).Run();
}

}  // namespace qsim::calibrate
