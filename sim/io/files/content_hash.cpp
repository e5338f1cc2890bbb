#include "sim/io/files/content_hash.h"

#include <algorithm>
#include <stdexcept>

#include "sim/io/files/hash.h"

namespace qsim::io {
namespace {

constexpr std::size_t kHashDigits = 64;

// Where the digits begin, or npos.
std::size_t PlaceOfHash(const std::string& text) {
  const std::size_t label = text.find(kContentHash);
  if (label == std::string::npos) return label;
  const std::size_t begin = text.find_first_not_of("\":, ", label + kContentHash.size());
  if (begin == std::string::npos || text.size() - begin < kHashDigits) return std::string::npos;
  const std::size_t end = text.find_first_not_of("0123456789abcdef", begin);
  return end != std::string::npos && end - begin == kHashDigits ? begin : std::string::npos;
}

std::string HashAround(std::string text, std::size_t place) {
  return Sha256Hex(text.replace(place, kHashDigits, NoHashYet()));
}

}  // namespace

std::string NoHashYet() { return std::string(kHashDigits, '0'); }

std::string WithContentHash(std::string text) {
  const std::size_t place = PlaceOfHash(text);
  if (place == std::string::npos) throw std::logic_error("a text without a place for its hash");
  const std::string hash = HashAround(text, place);
  return text.replace(place, kHashDigits, hash);
}

Content CheckContent(const std::string& text) {
  const std::size_t place = PlaceOfHash(text);
  if (place == std::string::npos) return Content::kWithoutHash;
  return text.compare(place, kHashDigits, HashAround(text, place)) == 0 ? Content::kAsWritten
                                                                        : Content::kChanged;
}

}  // namespace qsim::io
