// What a mixed executor prepares of its program, once and for all threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "golden/kernels/fast_backend.h"
#include "sim/semantics/mixed.h"

namespace qsim::semantics {

struct MixedExecutor::Prepared {
  // The integers of the products with weights as layers on real numbers, by output.
  std::mutex layers_mutex;
  std::map<std::string, network::Linear, std::less<>> layers;

  // Backends keep what they have prepared: each thread borrows one.
  std::mutex backends_mutex;
  std::vector<std::unique_ptr<golden::FastBackend>> backends;

  std::unique_ptr<golden::FastBackend> Borrow() {
    const std::lock_guard lock(backends_mutex);
    if (backends.empty()) return std::make_unique<golden::FastBackend>();
    std::unique_ptr<golden::FastBackend> backend = std::move(backends.back());
    backends.pop_back();
    return backend;
  }
  void Return(std::unique_ptr<golden::FastBackend> backend) {
    const std::lock_guard lock(backends_mutex);
    backends.push_back(std::move(backend));
  }
};

}  // namespace qsim::semantics
