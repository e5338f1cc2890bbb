// The driver of builds with libFuzzer: `fuzz TARGET [its options] [DIR | FILE]...`.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

const qsim::testing::Target* chosen = nullptr;

std::string_view TextOf(const std::uint8_t* data, std::size_t size) {
  return {static_cast<const char*>(static_cast<const void*>(data)), size};
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::vector<std::string> words(*argv + 1, *argv + *argc);
  if (const int status = qsim::testing::RunWords(words); status >= 0) std::exit(status);
  if (!words.empty()) chosen = qsim::testing::FindTarget(words[0]);
  if (chosen == nullptr) {
    std::cerr
        << "usage: fuzz list | fuzz TARGET seeds DIR | fuzz TARGET [-OPTION=N] [DIR | FILE]...\n";
    std::exit(2);
  }
  std::copy(*argv + 2, *argv + *argc, *argv + 1);
  --*argc;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qsim::testing::RunTarget(*chosen, TextOf(data, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  qsim::testing::Engine engine(seed);
  if (qsim::testing::Below(engine, 3) != 0) return LLVMFuzzerMutate(data, size, most);
  const std::string before(TextOf(data, size));
  const std::string after = qsim::testing::Mutated(before, before, engine);
  const std::size_t length = std::min(after.size(), most);
  std::memcpy(data, after.data(), length);
  return length;
}
