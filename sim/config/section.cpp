#include "sim/config/section.h"

#include <span>

#include "sim/config/words.h"
#include "sim/error.h"

namespace qsim {
namespace {

template <typename T>
std::string_view FirstWord(std::span<const Word<T>> words, T value) {
  for (const Word<T>& word : words) {
    if (word.value == value) return word.text;
  }
  throw InternalError("configuration value without a word");
}

}  // namespace

std::string_view Name(CalibrationMode mode) {
  return FirstWord<CalibrationMode>(kCalibrationModeWords, mode);
}
std::string_view Name(ObserverKind observer) {
  return FirstWord<ObserverKind>(kObserverWords, observer);
}
std::string_view Name(QuantMethod method) {
  return FirstWord<QuantMethod>(kQuantMethodWords, method);
}
std::string_view Name(RequantMode mode) { return FirstWord<RequantMode>(kRequantModeWords, mode); }

}  // namespace qsim
