// Operations of sequences, fast: equal to their own Run bit for bit, on any program that was
// validated.
#pragma once

#include "golden/program/operation_run.h"

namespace qsim::golden::kernels {

void Run(const CausalConvOp& op, OperationRun& run);
void Run(const MultiplyOp& op, OperationRun& run);
void Run(const RecurrenceOp& op, OperationRun& run);
void Run(const RecurrenceStateOp& op, OperationRun& run);
void Run(const TableOp& op, OperationRun& run);

}  // namespace qsim::golden::kernels
