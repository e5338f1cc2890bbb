// What a mixed executor prepares of its program, once and for all threads.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "golden/kernels/fast_backend.h"
#include "sim/semantics/mixed.h"

namespace qsim::semantics {

struct MixedExecutor::Prepared {
  explicit Prepared(const Program& program) : backend(program) {}

  golden::FastBackend backend;
  // The integers of the products with weights as layers on real numbers, by output.
  std::mutex mutex;
  std::map<std::string, network::Linear, std::less<>> layers;
};

}  // namespace qsim::semantics
