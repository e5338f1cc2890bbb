// Models of a program's operations, on the values that entered them.
#pragma once

#include <map>
#include <memory>
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

// The model of one operation of a validated program; `inputs` has all of InputsOf(op), of equally
// many images, within the tensors' ranges unless TakesAnyInput(op). The program outlives the model.
// Whether its model is defined for inputs beyond their range, such as a faulty accumulator.
bool TakesAnyInput(const Op& op);
OpModel MakeOpModel(const Program& program, const Op& op, const WideTensors& inputs);

}  // namespace qsim::explain
