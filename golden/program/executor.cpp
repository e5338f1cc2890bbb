#include "golden/program/executor.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace qsim {
namespace {

std::vector<std::int32_t> Widen(const IntTensor& tensor) {
  return std::visit(
      [](const auto& values) {
        std::vector<std::int32_t> wide(values.size());
        for (std::size_t i = 0; i < values.size(); ++i)
          wide[i] = static_cast<std::int32_t>(values[i]);
        return wide;
      },
      tensor.storage());
}

// Stores computed values in the tensor's own type. A value outside its range would be a defect of
// the operation, and must not be narrowed away.
IntTensor Narrow(const TensorInfo& info, std::span<const std::int32_t> values) {
  IntTensor tensor(info.dtype, info.shape);
  std::visit(
      [&](auto& storage) {
        using T = typename std::decay_t<decltype(storage)>::value_type;
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (values[i] < info.range.qmin || values[i] > info.range.qmax) {
            throw ProgramError("tensor '" + info.name + "' computed " + std::to_string(values[i]) +
                               ", outside its range");
          }
          storage[i] = static_cast<T>(values[i]);
        }
      },
      tensor.storage());
  return tensor;
}

// A matrix within a row-major tensor with `row_stride` elements per row.
template <typename T>
MatrixView<const T> ViewOf(const std::vector<T>& values, std::int64_t offset, std::int64_t rows,
                           std::int64_t cols, std::int64_t row_stride) {
  return {values.data() + offset, rows, cols, row_stride, 1};
}

LhsView LhsViewOf(const IntTensor& tensor, std::int64_t offset, std::int64_t rows,
                  std::int64_t cols, std::int64_t row_stride) {
  if (tensor.dtype() == DType::kUint8) {
    return ViewOf(tensor.As<std::uint8_t>(), offset, rows, cols, row_stride);
  }
  return ViewOf(tensor.As<std::int8_t>(), offset, rows, cols, row_stride);
}

MatrixView<const std::int8_t> Transposed(MatrixView<const std::int8_t> view) {
  return {view.data, view.cols, view.rows, view.col_stride, view.row_stride};
}

ChannelLayout LayoutOf(const Shape& shape, ChannelAxis axis) {
  const std::int64_t size = ElementCount(shape);
  switch (axis) {
    case ChannelAxis::kLast:
      return {size / shape.back(), shape.back(), 1};
    case ChannelAxis::kFirst:
      return {1, shape.front(), size / shape.front()};
    case ChannelAxis::kNone:
      break;
  }
  return {1, 1, size};
}

// Throws unless the tensor is what the program says of this input.
void CheckInput(const TensorInfo& info, const IntTensor& tensor) {
  if (tensor.shape() != info.shape || tensor.dtype() != info.dtype) {
    throw ProgramError("input '" + info.name + "' has another shape or type than the program says");
  }
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t value = tensor.At(i);
    if (value < info.range.qmin || value > info.range.qmax) {
      throw ProgramError("input '" + info.name + "' element " + std::to_string(i) + " is " +
                         std::to_string(value) + ", outside its range");
    }
  }
}

// Computes one operation from the values that exist and adds its output to them.
class OpRunner {
 public:
  OpRunner(const Program& program, std::int64_t image, Backend& backend, RunStats* stats,
           const ExecuteOptions& options, TensorMap& values)
      : program_(program),
        image_(image),
        backend_(backend),
        stats_(stats),
        options_(options),
        values_(values) {}

  void Run(const Op& op) {
    std::visit([this](const auto& o) { Do(o); }, op);
  }

 private:
  const IntTensor& Value(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw ProgramError("input '" + name + "' is missing");
    return found->second;
  }

  AccRange* Tracked(const std::string& output) {
    if (stats_ == nullptr || !options_.track_accumulators) return nullptr;
    return &stats_->accumulators[output];
  }

  void Store(const std::string& output, std::span<const std::int32_t> values) {
    values_.insert_or_assign(output, Narrow(program_.Tensor(output), values));
  }

  void CountSaturated(const std::string& output, std::int64_t saturated) {
    if (stats_ != nullptr) stats_->saturated[output] += saturated;
  }

  void Do(const GemmOp& op) {
    const IntTensor& input = Value(op.input);
    const IntTensor& weight = program_.Constant(op.weight);
    const std::int64_t rows = op.rows == 0 ? input.shape()[0] : op.rows;
    const std::int64_t depth = weight.shape()[1];
    const std::int64_t cols = weight.shape()[0];
    GemmParams params;
    params.bias = program_.Constant(op.bias).As<std::int32_t>();
    params.rhs_zero = op.weight_zero;
    params.acc = op.acc;
    IntTensor out(DType::kInt32, {rows, cols});
    backend_.Gemm({op.output, image_, 0}, LhsViewOf(input, 0, rows, depth, depth),
                  Transposed(ViewOf(weight.As<std::int8_t>(), 0, cols, depth, depth)), params,
                  {out.As<std::int32_t>().data(), rows, cols, cols, 1}, Tracked(op.output));
    values_.insert_or_assign(op.output, std::move(out));
  }

  void Do(const MatmulOp& op) {
    const IntTensor& lhs = Value(op.lhs);
    const IntTensor& rhs = Value(op.rhs);
    const std::vector<std::int8_t>& rhs_values = rhs.As<std::int8_t>();
    const std::int64_t tokens = rhs.shape()[0];
    const std::int64_t channels = rhs.shape()[1];
    const std::int64_t head_dim = channels / op.heads;
    IntTensor out(DType::kInt32, program_.Tensor(op.output).shape);
    std::int32_t* out_values = out.As<std::int32_t>().data();
    AccRange* seen = Tracked(op.output);
    for (std::int64_t h = 0; h < op.heads; ++h) {
      const auto head = static_cast<std::size_t>(h);
      GemmParams params;
      params.mode = op.mode;
      params.acc = op.acc;
      params.lhs_zero = op.lhs_zero[op.lhs_zero.size() == 1 ? 0 : head];
      const std::span<const std::int32_t> zeros = op.rhs_zero;
      const OpId id = {op.output, image_, h};
      const auto rhs_head = ViewOf(rhs_values, h * head_dim, tokens, head_dim, channels);
      if (op.transpose_rhs) {
        params.rhs_zero = zeros.size() == 1 ? zeros : zeros.subspan(head, 1);
        backend_.Gemm(id, LhsViewOf(lhs, h * head_dim, tokens, head_dim, channels),
                      Transposed(rhs_head), params,
                      {out_values + h * tokens * tokens, tokens, tokens, tokens, 1}, seen);
      } else {
        const auto dim = static_cast<std::size_t>(head_dim);
        params.rhs_zero = zeros.size() == 1 ? zeros : zeros.subspan(head * dim, dim);
        backend_.Gemm(id, LhsViewOf(lhs, h * tokens * tokens, tokens, tokens, tokens), rhs_head,
                      params, {out_values + h * head_dim, tokens, head_dim, channels, 1}, seen);
      }
    }
    values_.insert_or_assign(op.output, std::move(out));
  }

  void Do(const RequantizeOp& op) {
    const TensorInfo& info = program_.Tensor(op.output);
    const IntTensor& input = Value(op.input);
    std::vector<std::int32_t> in = Widen(input);
    const std::int64_t width = info.shape.back();
    if (input.shape().back() != width)
      in = Columns(in, input.shape().back(), op.first_column, width);
    RequantizeParams params;
    params.layout = LayoutOf(info.shape, op.axis);
    params.scale = op.scale;
    params.zero = op.zero;
    params.input_zero = op.input_zero;
    params.rounding = op.rounding;
    params.scheme = op.scheme;
    params.addend = op.addend;
    params.range = info.range;
    std::vector<std::int32_t> out(in.size());
    CountSaturated(op.output, backend_.Requantize({op.output, image_, 0}, in, width, params, out));
    Store(op.output, out);
  }

  static std::vector<std::int32_t> Columns(const std::vector<std::int32_t>& in,
                                           std::int64_t in_width, std::int64_t first,
                                           std::int64_t width) {
    const std::int64_t rows = static_cast<std::int64_t>(in.size()) / in_width;
    std::vector<std::int32_t> out;
    out.reserve(static_cast<std::size_t>(rows * width));
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto begin = in.begin() + r * in_width + first;
      out.insert(out.end(), begin, begin + width);
    }
    return out;
  }

  void Do(const SoftmaxOp& op) {
    const IntTensor& input = Value(op.input);
    const std::vector<std::int32_t> scores = Widen(input);
    const auto width = static_cast<std::size_t>(input.shape().back());
    const auto rows_per_head = static_cast<std::size_t>(input.shape()[1]);
    std::vector<std::int32_t> out(scores.size());
    std::int64_t saturated = 0;
    for (std::size_t row = 0; row * width < scores.size(); ++row) {
      const std::size_t head = row / rows_per_head;
      const SoftmaxParams& params = op.params[op.params.size() == 1 ? 0 : head];
      saturated += backend_.Softmax({op.output, image_, static_cast<std::int64_t>(head)},
                                    std::span(scores).subspan(row * width, width), params,
                                    std::span(out).subspan(row * width, width));
    }
    CountSaturated(op.output, saturated);
    Store(op.output, out);
  }

  void Do(const LayernormOp& op) {
    const IntTensor& input = Value(op.input);
    const std::vector<std::int32_t> x = Widen(input);
    const auto width = static_cast<std::size_t>(input.shape().back());
    LayernormParams params;
    params.input_zero = op.input_zero;
    params.input_shift = op.input_shift;
    params.std_shift = op.std_shift;
    params.bias = op.bias;
    params.scale = op.scale;
    params.zero = op.zero;
    params.rounding = op.rounding;
    params.kind = op.kind;
    params.deeploy = {-std::int64_t{op.input_zero}, op.weight, op.bias, op.log2d, op.wrap};
    params.range = program_.Tensor(op.output).range;
    std::vector<std::int32_t> out(x.size());
    std::int64_t saturated = 0;
    for (std::size_t begin = 0; begin < x.size(); begin += width) {
      saturated += backend_.Layernorm({op.output, image_, 0}, std::span(x).subspan(begin, width),
                                      params, std::span(out).subspan(begin, width));
    }
    CountSaturated(op.output, saturated);
    Store(op.output, out);
  }

  void Do(const ResidualAddOp& op) {
    const TensorInfo& info = program_.Tensor(op.output);
    const std::vector<std::int32_t> a = Widen(Value(op.a));
    const std::vector<std::int32_t> b = Widen(Value(op.b));
    ResidualAddParams params;
    params.layout = LayoutOf(info.shape, ChannelAxis::kLast);
    params.a_multiplier = op.a_multiplier;
    params.b_multiplier = op.b_multiplier;
    params.shift = op.shift;
    params.a_zero = op.a_zero;
    params.b_zero = op.b_zero;
    params.out_zero = op.out_zero;
    params.rounding = op.rounding;
    params.range = info.range;
    std::vector<std::int32_t> out(a.size());
    CountSaturated(op.output, backend_.ResidualAdd({op.output, image_, 0}, a, b, info.shape.back(),
                                                   params, out));
    Store(op.output, out);
  }

  void Do(const PatchifyOp& op) {
    const IntTensor& input = Value(op.input);
    const std::vector<std::uint8_t>& pixels = input.As<std::uint8_t>();
    const std::int64_t channels = input.shape()[0];
    const std::int64_t height = input.shape()[1];
    const std::int64_t width = input.shape()[2];
    IntTensor out(DType::kUint8, program_.Tensor(op.output).shape);
    auto to = out.As<std::uint8_t>().begin();
    for (std::int64_t top = 0; top < height; top += op.patch) {
      for (std::int64_t left = 0; left < width; left += op.patch) {
        for (std::int64_t c = 0; c < channels; ++c) {
          for (std::int64_t y = 0; y < op.patch; ++y) {
            const auto from = pixels.begin() + (c * height + top + y) * width + left;
            to = std::copy(from, from + op.patch, to);
          }
        }
      }
    }
    values_.insert_or_assign(op.output, std::move(out));
  }

  void Do(const EmbedOp& op) {
    const TensorInfo& info = program_.Tensor(op.output);
    const std::span<const std::int32_t> position =
        program_.Constant(op.position).As<std::int32_t>();
    const auto channels = static_cast<std::size_t>(info.shape[1]);
    const std::vector<std::int32_t> b_multiplier = {op.b_multiplier};
    ResidualAddParams params;
    params.layout = {info.shape[0] - 1, info.shape[1], 1};
    params.a_multiplier = op.a_multiplier;
    params.b_multiplier = b_multiplier;
    params.shift = op.shift;
    params.out_zero = op.out_zero;
    params.rounding = op.rounding;
    params.range = info.range;
    std::vector<std::int32_t> out(position.begin(), position.end());
    CountSaturated(op.output, backend_.ResidualAdd({op.output, image_, 0}, Widen(Value(op.a)),
                                                   position.subspan(channels), info.shape[1],
                                                   params, std::span(out).subspan(channels)));
    Store(op.output, out);
  }

  void Do(const AddOp& op) {
    std::vector<std::int32_t> sum = Widen(Value(op.a));
    const std::vector<std::int32_t> other =
        Widen(op.b.empty() ? program_.Constant(op.bias) : Value(op.b));
    // Validation has proven that no sum leaves the output's range.
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i % other.size()];
    Store(op.output, sum);
  }

  void Do(const GeluOp& op) {
    GeluParams params;
    params.kind = op.kind;
    params.input_qmin = program_.Tensor(op.input).range.qmin;
    params.table = op.table;
    params.input_zero = op.input_zero;
    params.ibert = op.ibert;
    params.shiftgelu = op.shiftgelu;
    params.ita = op.ita;
    params.deeploy = op.deeploy;
    params.addend = op.addend;
    params.row_length = program_.Tensor(op.input).shape.back();
    params.scale = op.scale;
    params.zero = op.zero;
    params.rounding = op.rounding;
    params.range = program_.Tensor(op.output).range;
    const std::vector<std::int32_t> in = Widen(Value(op.input));
    std::vector<std::int32_t> out(in.size());
    CountSaturated(op.output, backend_.Gelu({op.output, image_, 0}, in, params, out));
    Store(op.output, out);
  }

  const Program& program_;
  std::int64_t image_;
  Backend& backend_;
  RunStats* stats_;
  const ExecuteOptions& options_;
  TensorMap& values_;
};

}  // namespace

void RunStats::Merge(const RunStats& other) {
  for (const auto& [name, count] : other.saturated) saturated[name] += count;
  for (const auto& [name, range] : other.accumulators) accumulators[name].Include(range);
}

void Execution::Supply(const std::string& name, IntTensor value) {
  CheckInput(program_.Tensor(name), value);
  values_.insert_or_assign(name, std::move(value));
}

void Execution::Step(std::size_t index) {
  OpRunner(program_, image_, backend_, stats_, options_, values_).Run(program_.ops[index]);
}

std::vector<std::vector<std::string>> LastReads(const Program& program) {
  std::vector<std::vector<std::string>> last(program.ops.size());
  std::set<std::string> read;
  for (std::size_t i = program.ops.size(); i-- > 0;) {
    for (std::string& name : InputsOf(program.ops[i])) {
      if (read.insert(name).second) last[i].push_back(std::move(name));
    }
  }
  return last;
}

namespace {

Execution Started(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats, const ExecuteOptions& options) {
  Execution execution(program, image, backend, stats, options);
  for (const std::string& name : program.inputs) {
    const auto found = inputs.find(name);
    if (found == inputs.end()) throw ProgramError("input '" + name + "' is missing");
    execution.Supply(name, found->second);
  }
  return execution;
}

}  // namespace

TensorMap Execute(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats, const ExecuteOptions& options) {
  Execution execution = Started(program, inputs, image, backend, stats, options);
  for (std::size_t i = 0; i < program.ops.size(); ++i) execution.Step(i);
  return std::move(execution).Take();
}

TensorMap ExecuteForOutputs(const Program& program, const TensorMap& inputs, std::int64_t image,
                            Backend& backend) {
  Execution execution = Started(program, inputs, image, backend, nullptr, {});
  const auto last_reads = LastReads(program);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    execution.Step(i);
    for (const std::string& name : last_reads[i]) execution.Drop(name);
  }
  return std::move(execution).Take();
}

}  // namespace qsim
