#include "sim/cosim/verilated_hooks.h"

#include <verilated.h>

#include <cstdarg>
#include <cstdio>
#include <utility>

#include "sim/namespaces.h"

namespace qsim::cosim {
namespace {

// Verilator calls the functions below on the evaluating thread, holding locks that an exception
// would leave locked.
thread_local std::string failure;
thread_local std::string printed;

void Note(const char* file, int line, const char* what) {
  if (failure.empty()) failure = std::string(what) + " at " + file + ":" + std::to_string(line);
}

// "[40] %Error: requantize.sv:163: Assertion failed in rtl.requantize.InputStable: a beat
// changed\n", without its head and its end.
void NotePrinted() {
  const std::size_t head = printed.find("%Error: ");
  std::string text = head == std::string::npos ? printed : printed.substr(head + 8);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (failure.empty()) failure = text;
}

}  // namespace

std::string TakeRtlFailure() { return std::exchange(failure, {}); }

void RtlPrint(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  char text[1000];
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  printed = text;
}

}  // namespace qsim::cosim

// Verilator leaves these to us when compiled with VL_USER_STOP, VL_USER_FATAL and VL_USER_FINISH.
// An assertion has printed its text.
void vl_stop(const char* /*filename*/, int /*linenum*/, const char* /*hier*/) {
  qsim::cosim::NotePrinted();
}

void vl_fatal(const char* filename, int linenum, const char* /*hier*/, const char* msg) {
  qsim::cosim::Note(filename, linenum, msg);
}

void vl_finish(const char* filename, int linenum, const char* /*hier*/) {
  qsim::cosim::Note(filename, linenum, "the RTL called $finish");
}
