#include "sim/run/run_profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "golden/program/queries.h"
#include "sim/error.h"
#include "sim/peak_memory.h"
#include "sim/run/pieces.h"
#include "sim/semantics/real_weights.h"

namespace qsim::run {
namespace {

std::int64_t BytesOf(const IntTensor& tensor) { return tensor.size() * BitsOf(tensor.dtype()) / 8; }

std::int64_t BytesOf(const TensorInfo& info) {
  return ElementCount(info.shape) * BitsOf(info.dtype) / 8;
}

OperationCost CostOf(const Program& program, const Op& op, std::int64_t length, double seconds) {
  OperationCost cost{OutputOf(op), std::string(KindName(op)), seconds};
  for (const std::string& name : InputsOf(op))
    cost.operand_bytes += BytesOf(AtLength(program.Tensor(name), length));
  for (const std::string& name : ConstantsOf(op))
    cost.operand_bytes += BytesOf(program.Constant(name));
  cost.result_bytes = BytesOf(AtLength(program.Tensor(OutputOf(op)), length));
  cost.macs = MacsOf(program, op, length);
  return cost;
}

// What the configuration says, unless the codes know better: a bundle may be broken.
QuantRange RangeOf(const IntTensor& weight, const std::optional<QuantRange>& stated) {
  constexpr QuantRange kInt8 = {-128, 127};
  if (!stated) return kInt8;
  const auto& codes = weight.As<std::int8_t>();
  const bool within = std::all_of(codes.begin(), codes.end(), [&](std::int8_t code) {
    return stated->qmin <= code && code <= stated->qmax;
  });
  return within ? *stated : kInt8;
}

void AddMetrics(const TensorMetrics& metrics, TensorProfile& profile) {
  if (!profile.error) return;
  profile.error->mse = metrics.MeanSquaredError();
  profile.error->cosine = metrics.Cosine();
  profile.error->qsnr_db = metrics.QsnrDb();
  profile.error->max_abs = metrics.MaxAbsError();
}

}  // namespace

RunProfiler::RunProfiler(const Bundle& bundle, const MixedExecutor* mixed, ProfileRequest request,
                         int workers)
    : bundle_(bundle),
      mixed_(mixed),
      request_(std::move(request)),
      counts_(static_cast<std::size_t>(workers)),
      seconds_(bundle.program.ops.size()) {}

void RunProfiler::Take(int worker, std::int64_t index, Image& image, const std::string& name,
                       const IntTensor& codes, std::span<const double> quantized,
                       std::span<const float> exact) {
  const auto bad = std::find_if_not(exact.begin(), exact.end(),
                                    [](float value) { return std::isfinite(value); });
  if (bad != exact.end()) {
    throw InputError(fmt::format(
        "{}: the float reference of image {} has the value {} at element {}; statistics need "
        "finite numbers: check the weights and this image",
        name, index, *bad, bad - exact.begin()));
  }
  std::map<std::string, TensorCounts>& counts = counts_[static_cast<std::size_t>(worker)];
  counts.try_emplace(name, bundle_.program.Tensor(name).range)
      .first->second.Add(codes, quantized, exact);
  image.moments[name].Add(quantized, exact);
}

void RunProfiler::TakeTime(Image& image, std::size_t op, double seconds) const {
  image.seconds.resize(seconds_.size());
  image.seconds[op] += seconds;
}

void RunProfiler::Merge(const Image& image) {
  for (const auto& [name, moments] : image.moments) moments_[name].Merge(moments);
  for (std::size_t i = 0; i < image.seconds.size(); ++i) seconds_[i] += image.seconds[i];
}

RunProfile RunProfiler::Finish(
    const std::function<const TensorMetrics*(const std::string&)>& metrics,
    const std::map<std::string, std::int64_t>& saturated, std::int64_t images,
    std::int64_t length) {
  const Program& program = bundle_.program;
  RunProfile profile;
  for (const TensorInfo& info : program.tensors) {
    if (IsPast(program, info.name)) continue;
    TensorCounts counts(info.range);
    for (const std::map<std::string, TensorCounts>& worker : counts_) {
      const auto found = worker.find(info.name);
      if (found != worker.end()) counts.Merge(found->second);
    }
    TensorProfile tap = MakeProfile(counts, moments_[info.name]);
    tap.name = info.name;
    tap.shape = AtLength(info, length).shape;
    tap.shape.insert(tap.shape.begin(), images);
    tap.dtype = std::string(Name(info.dtype));
    tap.requested = request_.requested(info.name);
    if (const TensorMetrics* measured = metrics(info.name)) AddMetrics(*measured, tap);
    const auto clamped = saturated.find(info.name);
    tap.codes.saturated = clamped == saturated.end() ? 0 : clamped->second;
    profile.taps.push_back(std::move(tap));
  }
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (!WeightOf(program.ops[i]).empty()) profile.weights.push_back(ProfileWeight(program.ops[i]));
    if (request_.costs)
      profile.operations.push_back(CostOf(program, program.ops[i], length, seconds_[i]));
  }
  if (request_.costs) profile.peak_memory_bytes = PeakMemory();
  return profile;
}

TensorProfile RunProfiler::ProfileWeight(const Op& op) const {
  const std::string weight = WeightOf(op);
  const IntTensor& codes = bundle_.program.Constant(weight);
  std::span<const double> deviation;
  std::span<const float> exact;
  if (mixed_ != nullptr) {
    if (const ImageInputs* pixels = mixed_->PixelsIn(InputsOf(op).front()))
      deviation = pixels->stddev;
    if (const FloatTensor* weights = FloatWeights(mixed_->model(), OutputOf(op)))
      exact = weights->data;
  }
  const std::vector<double> real = RealWeights(bundle_, op, deviation);
  TensorCounts counts(RangeOf(codes, request_.weight_range(weight)));
  counts.Add(codes, real, exact);
  TensorMoments moments;
  moments.Add(real, exact);
  TensorProfile profile = MakeProfile(counts, moments);
  profile.name = weight;
  profile.shape = codes.shape();
  profile.dtype = std::string(Name(codes.dtype()));
  profile.requested = request_.requested(weight);
  if (!exact.empty()) {
    TensorMetrics metrics;
    metrics.Add(exact, real);
    AddMetrics(metrics, profile);
  }
  return profile;
}

}  // namespace qsim::run
