// The parts of rtl_backend.h that exist with and without RTL.
#include "sim/cosim/qsim_pkg.h"
#include "sim/cosim/rtl_backend.h"

namespace qsim::cosim {

namespace {

// The enumerations of golden/ are the codes of the RTL.
template <typename Enum>
constexpr bool Is(Enum value, int code) {
  return static_cast<int>(value) == code;
}
static_assert(Is(Rounding::kHalfUp, qsim_pkg::kRoundHalfUp));
static_assert(Is(Rounding::kHalfAway, qsim_pkg::kRoundHalfAway));
static_assert(Is(Rounding::kHalfEven, qsim_pkg::kRoundHalfEven));
static_assert(Is(Rounding::kFloor, qsim_pkg::kRoundFloor));
static_assert(Is(Rounding::kTowardZero, qsim_pkg::kRoundTowardZero));
static_assert(kAllRoundings.size() == qsim_pkg::kRoundDouble);
static_assert(Is(AccPolicy::kError, qsim_pkg::kPolicyError));
static_assert(Is(AccPolicy::kWrap, qsim_pkg::kPolicyWrap));
static_assert(Is(AccPolicy::kSaturate, qsim_pkg::kPolicySaturate));
static_assert(Is(OperandMode::kMultiply, qsim_pkg::kModeMultiply));
static_assert(Is(OperandMode::kShift, qsim_pkg::kModeShift));

}  // namespace

std::string ToString(ArrayShape shape) {
  return std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
}

TileIndex TileOf(ArrayShape shape, std::int64_t row, std::int64_t col) {
  return {row / shape.rows, col / shape.cols};
}

RtlStats& RtlStats::operator+=(const RtlStats& other) {
  cycles += other.cycles;
  macs += other.macs;
  mac_slots += other.mac_slots;
  tiles += other.tiles;
  stalled_cycles += other.stalled_cycles;
  return *this;
}

void Merge(const StatsByTap& from, StatsByTap& into) {
  for (const auto& [tap, stats] : from) into[tap] += stats;
}

}  // namespace qsim::cosim
