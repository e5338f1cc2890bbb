#include "tests/fuzz/target.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>

#include "sim/error.h"
#include "sim/text/printable.h"
#include "tests/fuzz/random_program.h"

namespace qsim::testing {
namespace {

// A message of one line names a path, a key and what is wrong; texts from files are cut.
constexpr std::size_t kLongestMessage = 600;

[[noreturn]] void Find(const std::string& what) {
  std::cerr << "finding: " << Escaped(what) << std::endl;
  std::abort();
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = [] {
    std::vector<Target> all;
    for (const auto& part : {IoTargets(), ModelTargets(), BundleTargets(), ProgramTargets()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return targets;
}

const Target* FindTarget(std::string_view name) {
  for (const Target& target : Targets()) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

std::string RunTarget(const Target& target, std::string_view input) {
  try {
    target.run(input);
  } catch (const InputError& error) {
    const std::string_view message = error.what();
    if (message.empty()) Find("an error without a message");
    if (message.size() > kLongestMessage)
      Find(fmt::format("a message of {} bytes: {}...", message.size(), message.substr(0, 200)));
    return std::string(message);
  } catch (const std::bad_alloc&) {
    Find("takes more memory than an input may");
  } catch (const std::exception& error) {
    Find(fmt::format("not an error of input: {}", error.what()));
  }
  return "";
}

int RunWords(const std::vector<std::string>& words) {
  if (words.size() == 1 && words[0] == "list") {
    for (const Target& target : Targets())
      std::cout << target.name << '\t' << target.what << '\t' << target.sources << '\n';
    return 0;
  }
  if (words.size() == 3 && words[1] == "seeds") {
    const Target* const target = FindTarget(words[0]);
    if (target == nullptr) return -1;
    int number = 0;
    for (const std::string& seed : target->seeds()) {
      std::ofstream file(std::filesystem::path(words[2]) / fmt::format("seed-{}", number++),
                         std::ios::binary);
      file << seed;
    }
    return 0;
  }
  if (words.size() == 2 && words[0] == "program" &&
      std::filesystem::exists(std::filesystem::path(words[1]) / "program.yaml")) {
    const std::string difference = DifferenceIn(LoadCase(words[1]), AllExecutors());
    std::cout << (difference.empty() ? "every executor computes the same" : difference) << '\n';
    return difference.empty() ? 0 : 1;
  }
  return -1;
}

}  // namespace qsim::testing
