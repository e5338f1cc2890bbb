#include "golden/program/operation_run.h"

#include <utility>

namespace qsim::golden {

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

}  // namespace

void RunStats::Merge(const RunStats& other) {
  for (const auto& [name, count] : other.saturated) saturated[name] += count;
  for (const auto& [name, range] : other.accumulators) accumulators[name].Include(range);
}

const IntTensor& OperationRun::Value(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) throw ProgramError("input '" + name + "' is missing");
  return found->second;
}

std::vector<std::int32_t> OperationRun::Wide(const std::string& name) const {
  return Widen(Value(name));
}

std::vector<std::int32_t> OperationRun::WideConstant(const std::string& name) const {
  return Widen(Constant(name));
}

std::span<const RequantizeOp* const> OperationRun::SoleReadersOf(const std::string& output) const {
  const auto found = sole_readers_.find(output);
  if (found == sole_readers_.end()) return {};
  return found->second;
}

AccRange* OperationRun::Tracked(const std::string& output) {
  return stats_ == nullptr || !track_ ? nullptr : &stats_->accumulators[output];
}

void OperationRun::Store(const std::string& output, IntTensor value) {
  values_.insert_or_assign(output, std::move(value));
}

void OperationRun::Store(const std::string& output, std::span<const std::int32_t> values) {
  const TensorInfo info = Info(output);
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
  Store(output, std::move(tensor));
}

void OperationRun::StoreView(const std::string& output, const std::string& input,
                             const StridedView& view) {
  const IntTensor& in = Value(input);
  const std::vector<std::size_t> elements = ElementsOf(view, in.size());
  IntTensor tensor(in.dtype(), Info(output).shape);
  std::visit(
      [&]<typename T>(std::vector<T>& values) {
        const std::vector<T>& from = in.As<T>();
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = from[elements[i]];
      },
      tensor.storage());
  Store(output, std::move(tensor));
}

void OperationRun::StoreClamped(const std::string& output, std::span<const std::int32_t> values,
                                std::int64_t saturated) {
  if (stats_ != nullptr) stats_->saturated[output] += saturated;
  Store(output, values);
}

void OperationRun::StoreClamped(const std::string& output, IntTensor value,
                                std::int64_t saturated) {
  if (stats_ != nullptr) stats_->saturated[output] += saturated;
  Store(output, std::move(value));
}

}  // namespace qsim::golden
