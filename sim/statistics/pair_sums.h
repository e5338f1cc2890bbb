// The sums of pairs of numbers that a correlation and a line of least squares need.
#pragma once

#include <cmath>

namespace qsim::statistics {

// Plain sums: for numbers whose means are not large beside their deviations (weights, codes,
// logarithms of factors); moments.h has those of any.
class PairSums {
 public:
  void Add(double x, double y) {
    n_ += 1;
    x_ += x;
    y_ += y;
    xx_ += x * x;
    yy_ += y * y;
    xy_ += x * y;
  }

  double count() const { return n_; }
  // Of Pearson; 0 where either number does not vary.
  double Correlation() const {
    const double vx = xx_ - x_ * x_ / n_, vy = yy_ - y_ * y_ / n_;
    return vx > 0 && vy > 0 ? Common() / std::sqrt(vx * vy) : 0;
  }
  // y is Slope() x + Offset() in least squares, whose sum Residual() is. A slope of 0 where x does
  // not vary.
  double Slope() const {
    const double variance = xx_ - x_ * x_ / n_;
    return variance > 0 ? Common() / variance : 0;
  }
  double Offset() const { return (y_ - Slope() * x_) / n_; }
  double Residual() const { return yy_ - y_ * y_ / n_ - Slope() * Common(); }

 private:
  double Common() const { return xy_ - x_ * y_ / n_; }

  double n_ = 0, x_ = 0, y_ = 0, xx_ = 0, yy_ = 0, xy_ = 0;
};

}  // namespace qsim::statistics
