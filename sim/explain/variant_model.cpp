#include "sim/explain/variant_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace qsim {
namespace {

// What no operation outputs: a hypothesis that the executor rejects agrees with nothing.
constexpr std::int64_t kNoValue = std::numeric_limits<std::int64_t>::min();

void SetRounding(Op& op, int rounding) {
  std::visit(
      [rounding](auto& o) {
        if constexpr (requires { o.rounding; }) o.rounding = static_cast<Rounding>(rounding);
      },
      op);
}

void SetSoftmaxKind(Op& op, int kind) {
  for (SoftmaxParams& params : std::get<SoftmaxOp>(op).params) {
    params.kind = static_cast<SoftmaxKind>(kind);
    if (params.kind != SoftmaxKind::kIbertRn) params.extra_bits = 0;
  }
}

void AddExtraBits(Op& op, int bits) {
  for (SoftmaxParams& params : std::get<SoftmaxOp>(op).params) params.extra_bits += bits;
}

void UseFirstHead(Op& op, int) {
  std::vector<SoftmaxParams>& params = std::get<SoftmaxOp>(op).params;
  params.resize(1);
}

void DropInputZero(Op& op, int) { std::get<LayernormOp>(op).input_zero = 0; }

void DropBias(Op& op, int) {
  std::vector<std::int64_t>& bias = std::get<LayernormOp>(op).bias;
  std::fill(bias.begin(), bias.end(), 0);
}

void DropInputShift(Op& op, int) { std::get<LayernormOp>(op).input_shift.clear(); }

void DropOutputZero(Op& op, int) {
  std::vector<std::int32_t>& zero = std::get<LayernormOp>(op).zero;
  std::fill(zero.begin(), zero.end(), 0);
}

void AddStdShift(Op& op, int bits) { std::get<LayernormOp>(op).std_shift += bits; }

}  // namespace

VariantModel::VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
                           std::vector<std::string> axis_names)
    : inputs_(std::move(inputs)), axis_names_(std::move(axis_names)) {
  program_.tensors = program.tensors;
  program_.ops = {op};
  for (const std::string& name : InputsOf(op)) program_.inputs.push_back(name);
  if (const auto* embed = std::get_if<EmbedOp>(&op))
    program_.constants.emplace(embed->position, program.Constant(embed->position));
  if (const auto* add = std::get_if<AddOp>(&op); add != nullptr && !add->bias.empty())
    program_.constants.emplace(add->bias, program.Constant(add->bias));
  shape_ = program.Tensor(OutputOf(op)).shape;
  shape_.insert(shape_.begin(), static_cast<std::int64_t>(inputs_.size()));
  BuildCoordinates();
}

void VariantModel::Add(std::size_t coordinate, Variant variant, Choice choice) {
  variants_[coordinate].push_back(variant);
  coordinates_[coordinate].choices.push_back(std::move(choice));
}

void VariantModel::BuildCoordinates() {
  for (const char* name : {"rounding", "algorithm", "parameters"}) {
    coordinates_.push_back({name, {}});
    variants_.emplace_back();
    Add(coordinates_.size() - 1, {}, {"golden", "as given", 0, true, {}});
  }
  const Op& op = program_.ops.front();
  if (const auto* softmax = std::get_if<SoftmaxOp>(&op)) AddSoftmax(*softmax);
  if (const auto* layernorm = std::get_if<LayernormOp>(&op)) AddLayernorm(*layernorm);
  std::visit(
      [this](const auto& o) {
        if constexpr (requires { o.rounding; }) AddRounding(o.rounding);
      },
      op);
}

void VariantModel::AddRounding(Rounding golden) {
  for (const Rounding rounding : kAllRoundings) {
    if (rounding == golden) continue;
    Add(0, {SetRounding, static_cast<int>(rounding)},
        {std::string(Name(rounding)),
         fmt::format("{} instead of {}", Name(rounding), Name(golden)),
         2,
         true,
         {}});
  }
}

void VariantModel::AddSoftmax(const SoftmaxOp& op) {
  const SoftmaxKind golden = op.params.front().kind;
  // Those that share the golden one's parameters; of the others nothing is known.
  static constexpr SoftmaxKind kSameExponential[] = {SoftmaxKind::kIbert, SoftmaxKind::kIbertRn};
  if (std::find(std::begin(kSameExponential), std::end(kSameExponential), golden) !=
      std::end(kSameExponential)) {
    for (const SoftmaxKind kind : kSameExponential) {
      if (kind == golden) continue;
      Add(1, {SetSoftmaxKind, static_cast<int>(kind)},
          {std::string(Name(kind)),
           fmt::format("{} instead of {}", Name(kind), Name(golden)),
           2,
           true,
           {}});
    }
  }
  if (golden == SoftmaxKind::kIbertRn) {
    Add(2, {AddExtraBits, 1}, {"output_doubled", "an output scale twice as fine", 2, true, {}});
    Add(2, {AddExtraBits, -1}, {"output_halved", "an output scale half as fine", 2, true, {}});
  }
  if (op.params.size() > 1)
    Add(2, {UseFirstHead, 0},
        {"first_head", "head 0's parameters used for every head", 2, true, {}});
}

void VariantModel::AddLayernorm(const LayernormOp& op) {
  if (op.input_zero != 0)
    Add(2, {DropInputZero, 0},
        {"input_zero_ignored", "the input's zero point ignored", 2, true, {}});
  if (std::any_of(op.bias.begin(), op.bias.end(), [](std::int64_t b) { return b != 0; }))
    Add(2, {DropBias, 0}, {"bias_missing", "the bias left out", 2, true, {}});
  if (!op.input_shift.empty())
    Add(2, {DropInputShift, 0},
        {"input_shift_missing", "the channels' input shifts left out", 2, true, {}});
  if (std::any_of(op.zero.begin(), op.zero.end(), [](std::int32_t z) { return z != 0; }))
    Add(2, {DropOutputZero, 0}, {"zero_omitted", "the zero point omitted", 2, true, {}});
  for (const int bits : {1, -1})
    Add(2, {AddStdShift, bits},
        {fmt::format("std_shift_{}", bits > 0 ? "plus_one" : "minus_one"),
         fmt::format("a shift of the deviation that is one too {}", bits > 0 ? "large" : "small"),
         3,
         true,
         {}});
}

std::vector<std::int64_t> VariantModel::Run(const Point& point) const {
  Program program = program_;
  for (std::size_t c = 0; c < point.size(); ++c) {
    const Variant& variant = variants_[c][point[c]];
    if (variant.change != nullptr) variant.change(program.ops.front(), variant.argument);
  }
  std::vector<std::int64_t> out;
  GoldenBackend backend;
  for (std::size_t image = 0; image < inputs_.size(); ++image) {
    const TensorMap values =
        Execute(program, inputs_[image], static_cast<std::int64_t>(image), backend);
    const IntTensor& tensor = values.at(OutputOf(program.ops.front()));
    std::visit([&](const auto& list) { out.insert(out.end(), list.begin(), list.end()); },
               tensor.storage());
  }
  return out;
}

void VariantModel::Evaluate(const Point& point, std::span<const std::int64_t> elements,
                            std::span<std::int64_t> out) const {
  auto found = outputs_.find(point);
  if (found == outputs_.end()) {
    std::vector<std::int64_t> values;
    const bool golden = point == Golden();
    try {
      values = Run(point);
    } catch (const std::invalid_argument&) {  // parameters that the operation does not know
      if (golden) throw;
    } catch (const ProgramError&) {  // or a result outside the output's range
      if (golden) throw;
    }
    if (values.empty()) values.assign(static_cast<std::size_t>(size()), kNoValue);
    found = outputs_.emplace(point, std::move(values)).first;
  }
  for (std::size_t i = 0; i < elements.size(); ++i)
    out[i] = found->second[static_cast<std::size_t>(elements[i])];
}

std::vector<std::string> VariantModel::Observe(std::span<const std::int64_t>) const { return {}; }

double VariantModel::Interest(std::int64_t element) const {
  return static_cast<double>((static_cast<std::uint64_t>(element) * 0x9e3779b97f4a7c15ULL) >> 11);
}

// A row of such an operation has too many values for an input to be told in a line.
std::optional<Separation> VariantModel::Separate(const Point&, const Point&) const {
  return std::nullopt;
}

}  // namespace qsim
