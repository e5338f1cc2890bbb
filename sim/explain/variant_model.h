// What may be suspected of an operation that has no model of its own: the operation itself with one
// described field changed, run by the golden executor. Other roundings, zero points that are
// ignored, shifts that are one off, lists that are left out, relatives of its algorithm, an output
// that wraps; and an eps of the value that the outputs ask for.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden/program/executor.h"
#include "golden/program/program.h"
#include "sim/explain/inner_steps.h"
#include "sim/explain/operation_model.h"

namespace qsim::explain {

class VariantModel final : public OperationModel {
 public:
  // `inputs`: for each image the operation's inputs, within the ranges that `program` states;
  // `actual`: the outputs to be explained. The program outlives the model.
  VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
               std::vector<std::string> axis_names, std::span<const std::int64_t> actual);

  double Cost() const override { return 5; }
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const override;

  // Of one or more members with the name of a field, or of the whole operation.
  struct Change {
    enum class What : std::uint8_t {
      kNothing,
      kChoice,     // the one with this number: a rounding, a division
      kZero,       // every number 0
      kSet,        // every number this
      kAdd,        // this to every number; of a multiplier, to its shift
      kEmpty,      // a list without entries
      kFirst,      // the first entry for all
      kAlgorithm,  // the alternative with this number, from the fields that it shares
      kStep,       // the inner steps with this number
    };
    What what = What::kNothing;
    std::string field = {};
    std::int64_t number = 0;
  };

 private:
  class Suspects;

  void Add(const char* coordinate, Change change, std::string id, std::string phrase, int cost = 2);
  // The inner steps that the outputs of some pieces ask for, in variant_steps.cpp.
  void AddSteps();
  std::vector<std::int64_t> RunSteps(const Op& op, std::span<const InnerStep> steps,
                                     bool limited) const;
  void AddEps(const std::string& field, std::int64_t stated);
  void Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
               std::span<std::int64_t> out, bool limited) const override;
  std::vector<std::int64_t> Run(const Hypothesis& point, bool limited) const;
  std::vector<std::int64_t> RunImages(const Program& program, std::size_t images) const;

  Program program_;  // the one operation
  std::vector<TensorMap> inputs_;
  std::vector<std::vector<Change>> changes_;
  std::unique_ptr<InnerPieces> pieces_;
  std::vector<std::vector<InnerStep>> steps_;
  // Whole tensors, by hypothesis and whether they are limited.
  mutable std::map<std::pair<Hypothesis, bool>, std::vector<std::int64_t>> outputs_;
};

}  // namespace qsim::explain
