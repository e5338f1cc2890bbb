// Runs independent pieces of work on a few threads. Results must go to slots of their own, so that
// nothing depends on the number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "sim/signals.h"

namespace qsim {

// Once in a process.
inline void NoteFewerThreads(std::size_t started) {
  static std::atomic<bool> said = false;
  if (!said.exchange(true)) {
    std::fprintf(stderr,
                 "note: the system allows no more than %zu thread%s; results are the same\n",
                 started, started == 1 ? "" : "s");
  }
}

// Calls work(index, worker) for every index in 0..count-1; worker is in 0..threads-1. Rethrows the
// exception of the smallest index that threw, so that an error message does not depend on timing
// either.
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
  if (threads > 1 && count > 1) {
    pool.reserve(static_cast<std::size_t>(std::min<std::int64_t>(threads, count)));
    const SignalsBlocked blocked;
    try {
      for (int t = 1; t < threads && t < count; ++t) pool.emplace_back(loop, t);
    } catch (const std::system_error&) {  // limits of processes or memory: fewer do the same work
      NoteFewerThreads(pool.size() + 1);
    } catch (const std::bad_alloc&) {
      NoteFewerThreads(pool.size() + 1);
    }
  }
  loop(0);
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace qsim
