// The driver of builds without libFuzzer, of the same command line as far as it goes: mutates a
// target's seeds for some seconds. What ends the process is kept, with the command that repeats it.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "sim/text/number.h"
#include "sim/text/printable.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// What one input may take: processor time, time, and memory beside what the process has.
constexpr int kSeconds = 10, kWallSeconds = 100;
constexpr std::uint64_t kBytes = std::uint64_t{512} << 20;

std::string current;  // the input that is being tried
char kept_at[4096];   // where it goes if it ends the process
char repeat[8192];

// Of every signal that an input can cause. What it calls is safe in a handler.
void Keep(int signal) {
  const int file = ::open(kept_at, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const auto put = [](int fd, const char* bytes, std::size_t size) {
    if (::write(fd, bytes, size) < 0) return;
  };
  put(file, current.data(), current.size());
  const char* const why = signal == SIGPROF || signal == SIGALRM ? "finding: takes too long\n"
                          : signal == SIGABRT                    ? ""
                                                                 : "finding: a signal\n";
  put(STDERR_FILENO, why, std::char_traits<char>::length(why));
  put(STDERR_FILENO, repeat, std::char_traits<char>::length(repeat));
  ::_exit(1);
}

void Watch() {
  static char stack[1 << 16];
  const stack_t other = {stack, 0, sizeof(stack)};
  ::sigaltstack(&other, nullptr);  // a stack may be what overflows
  struct sigaction action = {};
  action.sa_handler = Keep;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGALRM})
    ::sigaction(signal, &action, nullptr);
  std::ifstream status("/proc/self/statm");
  std::uint64_t pages = 0;
  status >> pages;
  const rlim_t most = pages * 4096 + kBytes;
#ifndef QSIM_SANITIZED_MEMORY  // takes memory of its own
  const rlimit limit = {most, most};
  ::setrlimit(RLIMIT_DATA, &limit);
#else
  static_cast<void>(most);
#endif
}

void Allow(int seconds, int wall_seconds) {
  const itimerval used = {{}, {seconds, 0}}, passed = {{}, {wall_seconds, 0}};
  ::setitimer(ITIMER_PROF, &used, nullptr);
  ::setitimer(ITIMER_REAL, &passed, nullptr);
}

std::string Try(const Target& target, std::string input) {
  current = std::move(input);
  Allow(kSeconds, kWallSeconds);
  std::string refused = RunTarget(target, current);
  Allow(0, 0);
  return refused;
}

struct Words {
  std::int64_t seconds = 0, runs = 0;
  std::uint64_t seed = static_cast<std::uint64_t>(RunSeed()) + 1;
  std::vector<std::filesystem::path> files;
};

std::optional<Words> Read(const std::vector<std::string>& words) {
  Words read;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string value = word.substr(std::min(word.size(), word.find('=') + 1));
    if (!word.starts_with('-')) {
      read.files.emplace_back(word);
      continue;
    }
    const auto number = ParseNumber<std::int64_t>(value);
    if (!number || *number < 0) return std::nullopt;
    if (word.starts_with("-max_total_time=")) {
      read.seconds = *number;
    } else if (word.starts_with("-runs=")) {
      read.runs = *number;
    } else if (word.starts_with("-seed=")) {
      read.seed = static_cast<std::uint64_t>(*number);
    } else {
      return std::nullopt;
    }
  }
  return read;
}

// Where its last input goes, and what repeats it.
void Prepare(const Target& target, const std::string& binary) {
  const std::string kept = fmt::format("crash-{}-{}", target.name, ::getpid());
  *fmt::format_to_n(kept_at, sizeof(kept_at) - 1, "{}", kept).out = '\0';
  *fmt::format_to_n(repeat, sizeof(repeat) - 1, "repeat: {} {} {}\n", binary, target.name, kept)
       .out = '\0';
}

void Fuzz(const Target& target, const Words& words, const std::string& binary) {
  using Clock = std::chrono::steady_clock;
  std::cout << fmt::format("[ random   ] {} {} -max_total_time={} -seed={}", binary, target.name,
                           words.seconds, words.seed)
            << std::endl;
  Prepare(target, binary);
  const std::vector<std::string> seeds = target.seeds();
  Engine engine(words.seed);
  const auto start = Clock::now(), end = start + std::chrono::seconds(words.seconds);
  std::int64_t executions = 0;
  for (const std::string& seed : seeds) {
    Try(target, seed);
    ++executions;
  }
  while ((words.seconds > 0 && Clock::now() < end) || executions < words.runs) {
    const std::string& seed = seeds[Below(engine, seeds.size())];
    Try(target, Mutated(seed, seeds[Below(engine, seeds.size())], engine));
    ++executions;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::cout << fmt::format("[ fuzz     ] {}: {} executions, {:.0f} s, {:.0f}/s, no finding\n",
                           target.name, executions, seconds,
                           static_cast<double>(executions) / seconds)
            << std::flush;
}

}  // namespace
}  // namespace qsim::testing

int main(int argc, char** argv) {
  using namespace qsim::testing;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (const int status = RunWords(words); status >= 0) return status;
  std::vector<Target> targets;
  for (const Target& target : Targets()) {
    if (!words.empty() && (words[0] == target.name || words[0] == "all")) targets.push_back(target);
  }
  const std::optional<Words> read = Read(words);
  if (targets.empty() || !read || (read->files.empty() && read->seconds + read->runs == 0)) {
    std::cerr << "usage: fuzz list | fuzz TARGET seeds DIR | fuzz TARGET FILE... |\n"
                 "       fuzz TARGET|all [-max_total_time=SECONDS] [-runs=N] [-seed=N]\n";
    return 2;
  }
  Watch();
  for (const Target& target : targets) {
    if (read->files.empty()) {
      Fuzz(target, *read, argv[0]);
      continue;
    }
    Prepare(target, argv[0]);
    for (const std::filesystem::path& file : read->files) {
      const std::string refused = Try(target, BytesOfFile(file));
      std::cout << file.string() << ": " << (refused.empty() ? "taken" : Escaped(refused)) << '\n';
    }
  }
  return 0;
}
