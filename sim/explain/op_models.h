// Models of a program's operations, on the values that entered them.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "golden/program/program.h"
#include "sim/explain/hypotheses.h"
#include "sim/explain/tensor_file.h"

namespace qsim::explain {

// Values of tensors by name, image axis in front.
using WideTensors = std::map<std::string, WideTensor, std::less<>>;

struct OpModel {
  std::unique_ptr<Model> model;
  std::string golden;  // the operation as the golden model computes it, in a line
};

// Whether its model is defined for inputs beyond their range, such as a faulty accumulator.
bool TakesAnyInput(const Op& op);
// The model of one operation of a validated program; `inputs` has all of InputsOf(op), of equally
// many images, within the tensors' ranges unless TakesAnyInput(op). `actual`, the outputs to be
// explained, is what some parameters are solved from, on so many threads. The program outlives the
// model.
OpModel MakeOpModel(const Program& program, const Op& op, const WideTensors& inputs,
                    std::span<const std::int64_t> actual, int threads = 1);

}  // namespace qsim::explain
