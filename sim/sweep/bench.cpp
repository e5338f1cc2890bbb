#include "sim/sweep/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "golden/kernels/fast_backend.h"
#include "sim/error.h"
#include "sim/inputs/inputs_hash.h"
#include "sim/parallel.h"
#include "sim/report/eval_report.h"
#include "sim/run/float_taps.h"
#include "sim/run/pieces.h"
#include "sim/statistics/metrics.h"
#include "sim/statistics/next_token.h"

namespace qsim::sweep {
namespace {

std::vector<std::string> UnreadTensors(const Program& program) {
  std::set<std::string> read;
  for (const Op& op : program.ops) {
    for (const std::string& name : InputsOf(op)) read.insert(name);
  }
  // What is left for a next piece is no output.
  for (const Carried& carried : program.carried) read.insert(carried.output);
  std::vector<std::string> unread;
  for (const Op& op : program.ops) {
    if (!read.contains(OutputOf(op))) unread.push_back(OutputOf(op));
  }
  return unread;
}

}  // namespace

SweepBench::SweepBench(const SweepSubject& subject, const Config& config, int threads)
    : subject_(subject) {
  const Bundle base = Lower(config, threads);
  outputs_ = UnreadTensors(base.program);
  const network::Node* head = subject_.model.Logits();
  const bool tokens = std::holds_alternative<TokenInputs>(subject_.evaluation.data);
  logits_ = head != nullptr && !tokens && outputs_ == std::vector<std::string>{head->name};
  // Its products, or what becomes of them.
  next_logits_ = head != nullptr && tokens && outputs_.size() == 1 &&
                 subject_.model.NodeOf(outputs_.front()) == head;
  // In the order of the network, which is that of the program's tensors.
  std::vector<std::string> kept;
  for (const TensorInfo& info : base.program.tensors) {
    const auto in = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), info.name) != names.end();
    };
    if (in(base.program.inputs) || in(outputs_)) kept.push_back(info.name);
  }
  std::set<std::string> wanted;
  for (const std::string& name : kept) wanted.insert(subject_.model.NodeOf(name)->name);
  floats_.resize(static_cast<std::size_t>(images()));
  ParallelFor(images(), threads, [&](std::int64_t image, int) {
    FloatTaps taps({subject_.model, subject_.evaluation}, image, wanted);
    for (const std::string& name : kept) {
      const FloatTensor* value = taps.Find(subject_.model.NodeOf(name));
      if (value != nullptr) floats_[static_cast<std::size_t>(image)].emplace(name, *value);
    }
  });
  if (!next_logits_) return;
  double bits = 0;
  for (std::size_t i = 0; i < floats_.size(); ++i) {
    const std::vector<float>& logits = floats_[i].at(outputs_.front()).data;
    bits += BitsOfNext(std::vector<double>(logits.begin(), logits.end()), head->shape.back(),
                       NextOf(i));
  }
  float_bits_ = BitsPerToken(bits);
}

// The tokens that its logits predict: all but the first.
std::span<const std::int32_t> SweepBench::NextOf(std::size_t sequence) const {
  const auto& tokens = std::get<TokenInputs>(subject_.evaluation.data);
  const auto longest = static_cast<std::size_t>(tokens.ids.shape()[1]);
  const auto length =
      static_cast<std::size_t>(LengthOf(subject_.evaluation, static_cast<std::int64_t>(sequence)));
  return std::span(tokens.ids.As<std::int32_t>()).subspan(sequence * longest + 1, length - 1);
}

double SweepBench::BitsPerToken(double bits) const {
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < floats_.size(); ++i) tokens += NextOf(i).size();
  return bits / static_cast<double>(std::max<std::size_t>(tokens, 1));
}

Identity SweepBench::InputsIdentity() const {
  Sha256 evaluation;
  AddTo(evaluation, subject_.evaluation);
  return {{"calibration inputs", HashOf(subject_.calibration)},
          {"evaluation inputs", evaluation.Finish()},
          {"labels", Sha256Hex(fmt::format("{}", fmt::join(subject_.evaluation.labels, ",")))}};
}

Bundle SweepBench::Lower(const Config& config, int threads) const {
  CalibrateOptions options = subject_.calibrate;
  options.threads = threads;
  Bundle bundle = Calibrate(subject_.model, config, subject_.calibration, options);
  if (subject_.finish) subject_.finish(bundle);
  return bundle;
}

TensorMap SweepBench::ProgramInputs(const Bundle& bundle, std::size_t image) const {
  TensorMap inputs;
  for (const std::string& name : bundle.program.inputs) {
    if (auto given = GivenInput(bundle, {subject_.model, subject_.evaluation},
                                static_cast<std::int64_t>(image), name)) {
      inputs.emplace(name, *std::move(given));
    } else {
      inputs.emplace(name, bundle.GridOf(name).Quantize(floats_[image].at(name).data));
    }
  }
  return inputs;
}

SweepResult SweepBench::Try(const Config& config) const {
  SweepResult result;
  Bundle bundle;
  try {
    bundle = Lower(config, 1);
  } catch (const ReadError&) {
    throw;
  } catch (const InputError& error) {
    result.refused = error.what();
    // One field of one line in a log.
    std::replace(result.refused.begin(), result.refused.end(), '\n', ' ');
    std::replace(result.refused.begin(), result.refused.end(), '\t', ' ');
    return result;
  }
  result.cost = CostOf(bundle);
  TensorMetrics metrics;
  double bits = 0;
  FastBackend backend(bundle.program);
  for (std::size_t image = 0; image < floats_.size(); ++image) {
    const TensorMap values = ExecuteForOutputs(bundle.program, ProgramInputs(bundle, image),
                                               static_cast<std::int64_t>(image), backend);
    TensorMetrics of_image;
    for (const std::string& name : outputs_) {
      const std::vector<float>& reference = floats_[image].at(name).data;
      const std::vector<double> real = bundle.GridOf(name).Dequantize(values.at(name));
      of_image.Add(reference, real);
      if (next_logits_)
        bits += BitsOfNext(real, bundle.program.Tensor(name).shape.back(), NextOf(image));
      if (!logits_) continue;
      const std::int32_t top = TopFive(real).front();
      if (top == TopFive({reference.begin(), reference.end()}).front()) ++result.same_class;
      if (has_labels() && top == subject_.evaluation.labels[image]) ++result.correct;
    }
    metrics.Merge(of_image);
  }
  result.qsnr_db = metrics.QsnrDb();
  if (next_logits_) result.bits_per_token = BitsPerToken(bits);
  return result;
}

}  // namespace qsim::sweep
