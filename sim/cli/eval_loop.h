// One input after the other: from a state file, in batches, and on behind one that cannot be read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/resume_log.h"
#include "sim/parallel.h"
#include "sim/text/printable.h"
#include "sim/text/progress.h"

namespace qsim::cli {

inline constexpr int kUnreadable = 2;  // exit status where some inputs could not be read

struct EvalLoop {
  std::string what;  // "images"
  std::int64_t count = 0;
  std::int64_t batch = 1;
  int threads = 1;
};

// The verdicts of all inputs that could be read, in order, and the exit status. What the state has
// is not judged again: parse(index, line) gives it, or nothing where the line is damaged.
// judge(index) throws InputError for one that cannot be read: one bad input must not cost the
// others' result, nor pass unseen. Throws InputError where none can be read.
template <typename Parse, typename Judge>
auto JudgeAll(const EvalLoop& loop, ResumeLog& state, Parse parse, Judge judge) {
  using Verdict = decltype(judge(std::int64_t{0}));
  std::map<std::int64_t, Verdict> judged;
  for (const auto& [index, line] : state.done()) {
    auto verdict = parse(index, line);
    if (!verdict) state.FailDamaged(line);
    if (index < loop.count) judged.emplace(index, *std::move(verdict));
  }
  std::vector<std::int64_t> missing;
  for (std::int64_t i = 0; i < loop.count; ++i) {
    if (!judged.contains(i)) missing.push_back(i);
  }
  const auto todo = static_cast<std::int64_t>(missing.size());
  Progress progress(loop.what, todo);
  std::vector<std::string> unreadable;
  for (std::int64_t first = 0; first < todo; first += loop.batch) {
    const std::int64_t size = std::min(loop.batch, todo - first);
    std::vector<Verdict> batch(static_cast<std::size_t>(size));
    std::vector<std::string> errors(static_cast<std::size_t>(size));
    ParallelFor(size, loop.threads, [&](std::int64_t i, int) {
      const auto slot = static_cast<std::size_t>(i);
      try {
        batch[slot] = judge(missing[static_cast<std::size_t>(first + i)]);
      } catch (const InputError& error) {
        errors[slot] = error.what();
      }
    });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (errors[i].empty()) {
        state.Add(batch[i].index, LineOf(batch[i]));
        judged.emplace(batch[i].index, std::move(batch[i]));
      } else {
        unreadable.push_back(errors[i]);
      }
    }
    progress.Show(first + size);
  }
  if (judged.empty()) {
    throw InputError((unreadable.empty() ? "eval: " : unreadable.front() + "; ") + "none of the " +
                     loop.what + " could be read");
  }
  for (const std::string& error : unreadable) std::cerr << "qsim: " << Escaped(error) << '\n';
  std::vector<Verdict> verdicts;
  for (auto& [index, verdict] : judged) verdicts.push_back(std::move(verdict));
  return std::pair(std::move(verdicts), unreadable.empty() ? 0 : kUnreadable);
}

}  // namespace qsim::cli
