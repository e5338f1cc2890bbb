// One operation on one image: the values that exist, who computes, and where the result goes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/view.h"
#include "golden/program/backend.h"
#include "golden/program/program.h"

namespace qsim::golden {

// Values of one image by tensor name.
using TensorMap = std::map<std::string, IntTensor, std::less<>>;

// The operations that alone read a tensor which nobody looks at: a backend may hand it to them
// without storing it.
using SoleReaders = std::map<std::string, std::vector<const RequantizeOp*>, std::less<>>;

// What a run observed beside the values, keyed by the operation's output tensor.
struct RunStats {
  std::map<std::string, std::int64_t> saturated;  // elements that a clamp changed
  std::map<std::string, AccRange> accumulators;   // partial sums seen; filled when asked for
  void Merge(const RunStats& other);
};

class OperationRun {
 public:
  // `stats` may be null; `track` asks for the range of every accumulator.
  OperationRun(const Program& program, std::int64_t image, Backend& backend, TensorMap& values,
               RunStats* stats, bool track, std::int64_t length, const SoleReaders& sole_readers)
      : program_(program),
        image_(image),
        backend_(backend),
        values_(values),
        stats_(stats),
        track_(track),
        length_(length),
        sole_readers_(sole_readers) {}

  const Program& program() const { return program_; }
  Backend& backend() { return backend_; }
  // At the length of this run.
  TensorInfo Info(const std::string& name) const {
    return AtLength(program_.Tensor(name), length_);
  }
  const IntTensor& Constant(const std::string& name) const { return program_.Constant(name); }
  // Those of a product's sums; empty where these have to be stored.
  std::span<const RequantizeOp* const> SoleReadersOf(const std::string& output) const;
  bool Has(const std::string& name) const { return values_.contains(name); }
  // Throws ProgramError when it does not exist yet.
  const IntTensor& Value(const std::string& name) const;
  std::vector<std::int32_t> Wide(const std::string& name) const;
  std::vector<std::int32_t> WideConstant(const std::string& name) const;
  OpId Id(const std::string& output, std::int64_t head = 0) const { return {output, image_, head}; }

  // Where to note the partial sums of an output; null where nobody asked.
  AccRange* Tracked(const std::string& output);
  void Store(const std::string& output, IntTensor value);
  // Stores a view of another tensor.
  void StoreView(const std::string& output, const std::string& input, const StridedView& view);
  // Stores computed values in the tensor's own type. Throws ProgramError for a value outside its
  // range: that is a defect of the operation, and must not be narrowed away.
  void Store(const std::string& output, std::span<const std::int32_t> values);
  // The same, already in the tensor's own type and range.
  void StoreClamped(const std::string& output, IntTensor value, std::int64_t saturated);
  // The same of an operation whose clamp changed so many elements.
  void StoreClamped(const std::string& output, std::span<const std::int32_t> values,
                    std::int64_t saturated);

 private:
  const Program& program_;
  std::int64_t image_;
  Backend& backend_;
  TensorMap& values_;
  RunStats* stats_;
  bool track_;
  std::int64_t length_;
  const SoleReaders& sole_readers_;
};

}  // namespace qsim::golden
