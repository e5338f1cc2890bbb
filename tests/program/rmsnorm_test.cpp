// What a program must satisfy to hold an RMS normalization.
#include "golden/program/ops/rmsnorm.h"

#include <gtest/gtest.h>

#include "tests/program/rejected.h"

namespace qsim::testing {
namespace {

RmsnormOp& Op0(Program& program) { return std::get<RmsnormOp>(program.ops.front()); }

Program Gated() {
  Program program;
  for (const char* name : {"x", "g", "y"})
    program.tensors.push_back({name, {2, 3}, DType::kInt8, {-128, 127}});
  program.tensors.push_back({"wide", {2, 3}, DType::kInt32, {-9, 9}});
  program.tensors.push_back({"long", {3, 3}, DType::kInt8, {-128, 127}});
  program.inputs = {"x", "g", "wide", "long"};
  RmsnormOp op;
  op.output = "y";
  op.input = "x";
  op.gate = "g";
  op.params.scale = {{5, 40}};
  op.params.zero = {0};
  program.ops = {op};
  return program;
}

TEST(Validate, Rmsnorm) {
  ExpectRejected(Gated(),
                 {{"input must be 16 bits", [](Program& p) { Op0(p).input = "wide"; }},
                  {"gate must be 16 bits", [](Program& p) { Op0(p).gate = "wide"; }},
                  {"'long' has the wrong shape", [](Program& p) { Op0(p).gate = "long"; }},
                  {"groups is 2, must divide the 3 columns", [](Program& p) { Op0(p).groups = 2; }},
                  {"groups is -1, must divide", [](Program& p) { Op0(p).groups = -1; }},
                  {"gate_zero without a gate",
                   [](Program& p) {
                     Op0(p).gate.clear();
                     Op0(p).params.gate_zero = 1;
                   }},
                  {"zero point", [](Program& p) { Op0(p).params.gate_zero = 65537; }},
                  {"input_shift needs no entry",
                   [](Program& p) {
                     Op0(p).params.input_shift = {1, 2};
                   }},
                  {"input_shift",
                   [](Program& p) {
                     Op0(p).params.input_shift = {0, 0, 9};
                   }},
                  {"leaves 25 bits",
                   [](Program& p) {
                     Op0(p).params.input_zero = 65536;
                     Op0(p).params.input_shift = {0, 0, 8};
                   }},
                  {"rms_shift out of range", [](Program& p) { Op0(p).params.rms_shift = 16; }},
                  {"eps is -1, must be in 0..2^62", [](Program& p) { Op0(p).params.eps = -1; }},
                  {"scale needs one entry",
                   [](Program& p) {
                     Op0(p).params.scale.resize(2, {5, 40});
                   }},
                  {"zero needs one entry", [](Program& p) {
                     Op0(p).params.zero = {1, 2};
                   }}});
}

}  // namespace
}  // namespace qsim::testing
