// The command line: commands, what they take, and the words that were given. CLI11 does the work;
// its headers take seconds to compile, so only command_line.cpp sees them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace qsim::cli {

// Wrong usage, in one line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An option, a flag or a positional argument that was added. The methods say more about it.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  Argument Type(const std::string& name) const;  // what the help calls its value: FILE, N
  Argument Describe(const std::string& what) const;
  Argument Group(const std::string& title) const;
  Argument ShowDefault() const;
  Argument HideDefault() const;
  // Numbers; one without a range takes all that its type holds.
  Argument Positive() const;
  Argument NotNegative() const;
  Argument Between(std::int64_t low, std::int64_t high) const;
  Argument BetweenReals(double low, double high) const;
  Argument OneOf(const std::vector<std::string>& words) const;
  Argument Required() const;
  Argument OneEach() const;  // repeatable, with one value each time
  Argument Excludes(const Argument& other) const;
  Argument Needs(const Argument& other) const;

 private:
  CLI::Option* option_;
};

// A command of the program.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // Value: std::string, std::filesystem::path, vectors of them, int, std::int64_t, std::uint64_t or
  // double. A name without dashes is that of a positional argument. Text must not be empty; numbers
  // are ParseNumber's (sim/text/number.h).
  template <typename Value>
  Argument Add(const std::string& name, Value& value, const std::string& what) const;
  Argument Flag(const std::string& name, bool& value, const std::string& what) const;
  Argument Get(const std::string& name) const;
  void Remove(const std::string& name) const;
  void Footer(const std::string& text) const;
  // Called when the words of this command have been read; throws UsageError.
  void Check(std::function<void()> check) const;

  bool given() const;

 private:
  CLI::App* app_;
};

class CommandLine {
 public:
  explicit CommandLine(const std::string& version);
  ~CommandLine();

  Command Add(const std::string& name, const std::string& what);
  // Reads the words after the program's name. Returns false when they ask for help or the version,
  // which is printed. Throws UsageError.
  bool Parse(std::vector<std::string> words);

 private:
  std::unique_ptr<CLI::App> app_;
  std::int64_t limits_ = 1;  // of every command: docs/formats.md, "Limits"
};

}  // namespace qsim::cli
