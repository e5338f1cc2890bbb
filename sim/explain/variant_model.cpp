#include "sim/explain/variant_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "golden/kernels/fast_backend.h"

namespace qsim {
namespace {

// What no operation outputs: a hypothesis that the executor rejects agrees with nothing.
constexpr std::int64_t kNoValue = std::numeric_limits<std::int64_t>::min();

void SetRounding(Op& op, int rounding) {
  std::visit(
      [rounding](auto& o) {
        ForEachParameter(o, [rounding]<typename T>(const Field&, T& member) {
          if constexpr (std::is_same_v<T, Rounding>) member = static_cast<Rounding>(rounding);
        });
      },
      op);
}

// The other rounding of I-BERT's last step, with the same constants.
void SwapIbertRounding(Op& op, int) {
  for (SoftmaxParams& params : std::get<SoftmaxOp>(op).params) {
    if (const auto* floored = std::get_if<IbertSoftmaxParams>(&params)) {
      params = IbertRnSoftmaxParams{floored->exp, floored->act16_multiplier, floored->act16_shift};
    } else {
      const auto rounded = std::get<IbertRnSoftmaxParams>(params);
      params = IbertSoftmaxParams{rounded.exp, rounded.act16_multiplier, rounded.act16_shift};
    }
  }
}

void AddExtraBits(Op& op, int bits) {
  for (SoftmaxParams& params : std::get<SoftmaxOp>(op).params) {
    std::get<IbertRnSoftmaxParams>(params).extra_bits += bits;
  }
}

void UseFirstHead(Op& op, int) {
  std::vector<SoftmaxParams>& params = std::get<SoftmaxOp>(op).params;
  params.resize(1);
}

// Applies a change to a layer norm whose algorithm has such a parameter.
template <typename Change>
void ChangeNorm(Op& op, Change change) {
  std::visit(
      [&](auto& params) {
        if constexpr (requires { change(params); }) change(params);
      },
      std::get<LayernormOp>(op).params);
}

void DropInputZero(Op& op, int) {
  ChangeNorm(op, [](auto& norm) { norm.input_zero = 0; });
}

void DropBias(Op& op, int) {
  ChangeNorm(op, [](auto& norm) { std::fill(norm.bias.begin(), norm.bias.end(), 0); });
}

void DropInputShift(Op& op, int) {
  ChangeNorm(op,
             [](auto& norm) -> decltype(norm.input_shift.clear()) { norm.input_shift.clear(); });
}

void DropOutputZero(Op& op, int) {
  ChangeNorm(op, [](auto& norm) -> decltype(norm.zero.clear()) {
    std::fill(norm.zero.begin(), norm.zero.end(), 0);
  });
}

void AddStdShift(Op& op, int bits) {
  std::get<IbertLayernormParams>(std::get<LayernormOp>(op).params).std_shift += bits;
}

}  // namespace

VariantModel::VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
                           std::vector<std::string> axis_names)
    : inputs_(std::move(inputs)), axis_names_(std::move(axis_names)) {
  program_.tensors = program.tensors;
  program_.ops = {op};
  for (const std::string& name : InputsOf(op)) program_.inputs.push_back(name);
  for (const std::string& name : ConstantsOf(op))
    program_.constants.emplace(name, program.Constant(name));
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
        ForEachParameter(o, [this]<typename T>(const Field&, const T& member) {
          if constexpr (std::is_same_v<T, Rounding>) AddRounding(member);
        });
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
  const SoftmaxKind golden = KindOf(op.params.front());
  // I-BERT's two share their parameters; of the others nothing is known.
  const bool rounded = golden == SoftmaxKind::kIbertRn;
  if (rounded || golden == SoftmaxKind::kIbert) {
    const SoftmaxKind other = rounded ? SoftmaxKind::kIbert : SoftmaxKind::kIbertRn;
    Add(1, {SwapIbertRounding, 0},
        {std::string(Name(other)),
         fmt::format("{} instead of {}", Name(other), Name(golden)),
         2,
         true,
         {}});
  }
  if (rounded) {
    Add(2, {AddExtraBits, 1}, {"output_doubled", "an output scale twice as fine", 2, true, {}});
    Add(2, {AddExtraBits, -1}, {"output_halved", "an output scale half as fine", 2, true, {}});
  }
  if (op.params.size() > 1)
    Add(2, {UseFirstHead, 0},
        {"first_head", "head 0's parameters used for every head", 2, true, {}});
}

void VariantModel::AddLayernorm(const LayernormOp& op) {
  std::visit([this](const auto& params) { AddLayernorm(params); }, op.params);
}

template <typename Params>
void VariantModel::AddLayernorm(const Params& params) {
  const auto any = [](const auto& list) {
    return std::any_of(list.begin(), list.end(), [](auto value) { return value != 0; });
  };
  if (params.input_zero != 0)
    Add(2, {DropInputZero, 0},
        {"input_zero_ignored", "the input's zero point ignored", 2, true, {}});
  if (any(params.bias)) Add(2, {DropBias, 0}, {"bias_missing", "the bias left out", 2, true, {}});
  if constexpr (requires { params.input_shift; }) {
    if (!params.input_shift.empty())
      Add(2, {DropInputShift, 0},
          {"input_shift_missing", "the channels' input shifts left out", 2, true, {}});
    if (any(params.zero))
      Add(2, {DropOutputZero, 0}, {"zero_omitted", "the zero point omitted", 2, true, {}});
  }
  if constexpr (requires { params.std_shift; }) {
    for (const int bits : {1, -1})
      Add(2, {AddStdShift, bits},
          {fmt::format("std_shift_{}", bits > 0 ? "plus_one" : "minus_one"),
           fmt::format("a shift of the deviation that is one too {}", bits > 0 ? "large" : "small"),
           3,
           true,
           {}});
  }
}

std::vector<std::int64_t> VariantModel::Run(const Point& point) const {
  Program program = program_;
  for (std::size_t c = 0; c < point.size(); ++c) {
    const Variant& variant = variants_[c][point[c]];
    if (variant.change != nullptr) variant.change(program.ops.front(), variant.argument);
  }
  std::vector<std::int64_t> out;
  FastBackend backend;
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
