// Runs independent pieces of work on a few threads. Results must go to slots of their own, so that nothing
// depends on the number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace qsim {

// Calls work(index, worker) for every index in 0..count-1; worker is in 0..threads-1. Rethrows the exception
// of the smallest index that threw, so that an error message does not depend on timing either.
template <typename Work>
void ParallelFor(std::int64_t count, int threads, Work work) {
  std::atomic<std::int64_t> next = 0;
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t error_index = count;
  const auto loop = [&](int worker) {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        work(i, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < error_index) {
          error_index = i;
          error = std::current_exception();
        }
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads && t < count; ++t) pool.emplace_back(loop, t);
  loop(0);
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace qsim
