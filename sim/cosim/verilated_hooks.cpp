#include "sim/cosim/verilated_hooks.h"

#include <verilated.h>

#include <utility>

namespace qsim::cosim {
namespace {

// Verilator calls the functions below on the evaluating thread, holding locks that an exception
// would leave locked.
thread_local std::string failure;

void Note(const char* file, int line, const char* what) {
  if (failure.empty()) failure = std::string(what) + " at " + file + ":" + std::to_string(line);
}

}  // namespace

std::string TakeRtlFailure() { return std::exchange(failure, {}); }

}  // namespace qsim::cosim

// Verilator leaves these to us when compiled with VL_USER_STOP, VL_USER_FATAL and VL_USER_FINISH.
void vl_stop(const char* filename, int linenum, const char* /*hier*/) {
  qsim::cosim::Note(filename, linenum, "an assertion of the RTL failed");
}

void vl_fatal(const char* filename, int linenum, const char* /*hier*/, const char* msg) {
  qsim::cosim::Note(filename, linenum, msg);
}

void vl_finish(const char* filename, int linenum, const char* /*hier*/) {
  qsim::cosim::Note(filename, linenum, "the RTL called $finish");
}
