// What may be suspected of an operation that has no lattice of its own (softmax, layer norm, GELU,
// embed): other algorithms and roundings that the golden model knows. Each hypothesis is an
// operation with other parameters, run by the golden executor.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "golden/program/program.h"
#include "sim/explain/lattice.h"

namespace qsim {

class VariantModel final : public Model {
 public:
  // `inputs`: for each image the operation's inputs, within the ranges that `program` states. The
  // program outlives the model.
  VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
               std::vector<std::string> axis_names);

  const std::vector<Coordinate>& coordinates() const override { return coordinates_; }
  const Shape& shape() const override { return shape_; }
  void Evaluate(const Point& point, std::span<const std::int64_t> elements,
                std::span<std::int64_t> out) const override;
  double Cost() const override { return 5; }
  std::vector<Feature> Features() const override { return AxisFeatures(shape_, axis_names_); }
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Point& a, const Point& b) const override;

 private:
  using Change = void (*)(Op& op, int argument);
  struct Variant {
    Change change = nullptr;  // none: golden
    int argument = 0;
  };

  void Add(std::size_t coordinate, Variant variant, Choice choice);
  void BuildCoordinates();
  void AddRounding(Rounding golden);
  void AddSoftmax(const SoftmaxOp& op);
  void AddLayernorm(const LayernormOp& op);
  template <typename Params>
  void AddLayernorm(const Params& params);
  std::vector<std::int64_t> Run(const Point& point) const;

  Program program_;  // the one operation
  std::vector<TensorMap> inputs_;
  std::vector<std::string> axis_names_;
  Shape shape_;
  std::vector<Coordinate> coordinates_;
  std::vector<std::vector<Variant>> variants_;
  mutable std::map<Point, std::vector<std::int64_t>> outputs_;  // whole tensors, by hypothesis
};

}  // namespace qsim
