// What may be suspected of an operation that has no model of its own: the operation itself with one
// described field changed, run by the golden executor. Other roundings, zero points that are
// ignored, shifts that are one off, lists that are left out, relatives of its algorithm, an output
// that wraps; and an eps of the value that the outputs ask for.
#pragma once

#include <map>
#include <memory>
#include <mutex>
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
  // `actual`: the outputs to be explained. `threads`: for trying inner steps. The program outlives
  // the model.
  VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
               std::vector<std::string> axis_names, std::span<const std::int64_t> actual,
               int threads);

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
      kCodes,      // the function with this number, of an operation of single elements
      kRotate,     // each entry of a list that of the channel so much further on; "": of all lists
      kRows,       // the rows of a constant so many late
      kToggle,
    };
    What what = What::kNothing;
    std::string field = {};
    std::int64_t number = 0;
  };

 private:
  class Suspects;

  void Add(const char* coordinate, Change change, std::string id, std::string phrase, int cost = 2,
           std::int64_t freedom = 0);
  // The inner steps that the outputs of some pieces ask for, in variant_steps.cpp.
  void AddSteps();
  std::vector<std::int64_t> RunSteps(const Op& op, std::span<const InnerStep> steps,
                                     bool limited) const;
  // What a few outputs ask for, in variant_solved.cpp.
  using Codes = std::map<std::int64_t, std::int64_t>;  // outputs by code, where they are others
  void AddCodes();
  void AddCodes(Codes codes, std::string id, std::string phrase, int cost, std::int64_t freedom);
  std::vector<std::int64_t> EveryCode(const std::string& input) const;
  std::vector<std::int64_t> WithCodes(const Codes& codes) const;
  void AddLists();
  void AddRows();
  std::int64_t GainInImage(const Change& change, std::size_t image) const;
  static void Apply(const Change& change, Program& program);
  std::vector<std::int64_t> RunImage(const Program& program, std::size_t image) const;
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
  std::vector<Codes> codes_;
  int threads_;
  // Whole tensors, by hypothesis and whether they are limited.
  using Outputs = std::shared_ptr<const std::vector<std::int64_t>>;
  Outputs OutputsOf(const Hypothesis& point, bool limited) const;
  mutable std::map<std::pair<Hypothesis, bool>, Outputs> outputs_;
  mutable std::mutex mutex_;  // of these
};

}  // namespace qsim::explain
