#include "sim/semantics/weight_rounding.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qsim::semantics {
namespace {

// An error, or a sum of errors: how far the codes are below what they stand for.
struct Error {
  double error = 0;
  std::size_t at = 0;
};

// The `count` largest of one sign, of equals the first.
void KeepLargest(std::vector<Error>& errors, std::size_t count) {
  count = std::min(count, errors.size());
  std::partial_sort(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(count),
                    errors.end(), [](const Error& a, const Error& b) {
                      const double size_a = std::fabs(a.error), size_b = std::fabs(b.error);
                      return size_a != size_b ? size_a > size_b : a.at < b.at;
                    });
  errors.resize(count);
}

// How many steps take a sum to half a step or less.
std::size_t StepsFor(double sum) {
  return static_cast<std::size_t>(std::max(0.0, std::ceil(std::fabs(sum) - 0.5)));
}

class Row {
 public:
  Row(std::span<const double> exact, QuantRange range, std::span<std::int8_t> codes)
      : exact_(exact), range_(range), codes_(codes) {}

  double Sum(std::size_t first, std::size_t count) const {
    double sum = 0;
    for (std::size_t k = first; k < first + count; ++k) sum += ErrorAt(k);
    return sum;
  }

  // Moves that many codes of these columns towards a sum of 0.
  void Move(std::size_t first, std::size_t count, double sum, std::size_t steps) {
    const int step = sum > 0 ? 1 : -1;
    std::vector<Error> errors;
    for (std::size_t k = first; k < first + count; ++k) {
      const int moved = codes_[k] + step;
      if (ErrorAt(k) * step > 0 && moved >= range_.qmin && moved <= range_.qmax)
        errors.push_back({ErrorAt(k), k});
    }
    KeepLargest(errors, steps);
    for (const Error& e : errors) codes_[e.at] = static_cast<std::int8_t>(codes_[e.at] + step);
  }

 private:
  double ErrorAt(std::size_t k) const { return exact_[k] - static_cast<double>(codes_[k]); }

  std::span<const double> exact_;
  QuantRange range_;
  std::span<std::int8_t> codes_;
};

}  // namespace

void CancelErrors(std::span<const double> exact, std::size_t kernel, QuantRange range,
                  std::span<std::int8_t> codes) {
  Row row(exact, range, codes);
  const std::size_t width = exact.size();
  std::vector<Error> kernels;
  double all = 0;
  for (std::size_t first = 0; first < width; first += kernel) {
    const double nearest = row.Sum(first, kernel);
    row.Move(first, kernel, nearest, StepsFor(nearest));
    kernels.push_back({row.Sum(first, kernel), first});
    all += kernels.back().error;
  }
  // One step in each of the kernels that are furthest off in the row's direction.
  std::erase_if(kernels, [&](const Error& e) { return e.error * all <= 0; });
  KeepLargest(kernels, StepsFor(all));
  for (const Error& e : kernels) row.Move(e.at, kernel, e.error, 1);
}

}  // namespace qsim::semantics
