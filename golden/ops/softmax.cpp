#include "golden/ops/softmax.h"

#include <array>
#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/softmax/ibert.h"
#include "golden/ops/softmax/log_int.h"

namespace qsim {
namespace {

constexpr const char* kUnknownKind = "Softmax: unknown algorithm";

IbertSoftmaxParams IbertOf(const SoftmaxParams& params) {
  return {.exp = params.exp,
          .act16_multiplier = params.act16_multiplier,
          .act16_shift = params.act16_shift,
          .extra_bits = params.extra_bits,
          .round_output = params.kind == SoftmaxKind::kIbertRn};
}

}  // namespace

void CheckSoftmaxParams(const SoftmaxParams& params) {
  switch (params.kind) {
    case SoftmaxKind::kIbert:
      Require(params.extra_bits == 0, "Softmax: extra_bits must be 0 for ibert");
      return CheckIbertSoftmax(IbertOf(params));
    case SoftmaxKind::kIbertRn:
      return CheckIbertSoftmax(IbertOf(params));
    case SoftmaxKind::kLogInt:
      return CheckLogIntSoftmax(params.exp, params.code_bits);
    case SoftmaxKind::kShiftmax:
      return CheckShiftmax(params.shiftmax);
    case SoftmaxKind::kIta:
      return CheckItaSoftmax(params.ita, /*streaming=*/false);
    case SoftmaxKind::kItaStreaming:
      return CheckItaSoftmax(params.ita, /*streaming=*/true);
    case SoftmaxKind::kTflite:
      return CheckTfliteSoftmax(params.tflite);
    case SoftmaxKind::kDeeploy:
      return CheckIsoftmax(params.isoftmax);
  }
  throw std::invalid_argument(kUnknownKind);
}

QuantRange SoftmaxOutputRange(const SoftmaxParams& params) {
  switch (params.kind) {
    case SoftmaxKind::kIbert:
    case SoftmaxKind::kIbertRn:
      return {0, 255};
    case SoftmaxKind::kLogInt:
      return {0, 1 << params.code_bits};
    case SoftmaxKind::kShiftmax:
      return ShiftmaxRange(params.shiftmax);
    case SoftmaxKind::kIta:
    case SoftmaxKind::kItaStreaming:
      return ItaSoftmaxRange(params.ita);
    case SoftmaxKind::kTflite:
      return TfliteSoftmaxRange(params.tflite);
    case SoftmaxKind::kDeeploy:
      return IsoftmaxRange(params.isoftmax);
  }
  throw std::invalid_argument(kUnknownKind);
}

std::int64_t MaxSoftmaxRow(SoftmaxKind kind) {
  return kind == SoftmaxKind::kTflite ? kMaxTfliteSoftmaxRow : kMaxSoftmaxRow;
}

std::int64_t Softmax(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                     std::span<std::int32_t> out, const SoftmaxTrace& trace) {
  CheckSoftmaxParams(params);
  const std::size_t length = scores.size();
  Require(length >= 1 && static_cast<std::int64_t>(length) <= MaxSoftmaxRow(params.kind) &&
              out.size() == length,
          "Softmax: a row must have 1..65536 elements (tflite: 8191), and out as many");
  Require((trace.exp_int.empty() || trace.exp_int.size() == length) &&
              (trace.exp16.empty() || trace.exp16.size() == length),
          "Softmax: a trace must be empty or as long as the row");
  switch (params.kind) {
    case SoftmaxKind::kIbert:
    case SoftmaxKind::kIbertRn:
      return IbertSoftmax(scores, IbertOf(params), out, trace.exp_int, trace.exp16);
    case SoftmaxKind::kLogInt:
      LogIntSoftmax(scores, params.exp, params.code_bits, out, trace.exp_int);
      return 0;
    case SoftmaxKind::kShiftmax:
      Shiftmax(scores, params.shiftmax, out, trace.exp_int);
      return 0;
    case SoftmaxKind::kIta:
      ItaSoftmax(scores, params.ita, out);
      return 0;
    case SoftmaxKind::kItaStreaming:
      ItaStreamingSoftmax(scores, params.ita, out);
      return 0;
    case SoftmaxKind::kTflite:
      return TfliteSoftmax(scores, params.tflite, out);
    case SoftmaxKind::kDeeploy:
      Isoftmax(scores, params.isoftmax, out);
      return 0;
  }
  throw std::invalid_argument(kUnknownKind);
}

}  // namespace qsim
