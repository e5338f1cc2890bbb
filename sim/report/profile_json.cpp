#include "sim/report/profile_json.h"

#include <nlohmann/json.hpp>

#include "sim/report/json_values.h"

namespace qsim::report {
namespace {

using Json = nlohmann::ordered_json;

Json ValuesJson(const ValueSummary& values) {
  return {{"min", JsonNumber(values.min)},
          {"max", JsonNumber(values.max)},
          {"mean", JsonNumber(values.mean)},
          {"stddev", JsonNumber(values.stddev)},
          {"outlier_share", JsonNumber(values.outlier_share)},
          {"outlier_error", JsonNumber(values.outlier_error)}};
}

Json ErrorJson(const ErrorSummary& error) {
  return {{"mse", JsonNumber(error.mse)},         {"cosine", JsonNumber(error.cosine)},
          {"qsnr_db", JsonNumber(error.qsnr_db)}, {"max_abs_error", JsonNumber(error.max_abs)},
          {"kl", JsonNumber(error.kl)},           {"js", JsonNumber(error.js)}};
}

Json CodesJson(const CodeSummary& codes) {
  return {{"qmin", codes.range.qmin},
          {"qmax", codes.range.qmax},
          {"min", codes.min},
          {"max", codes.max},
          {"range_share", JsonNumber(codes.range_share)},
          {"distinct", OrNull(codes.distinct)},
          {"entropy_bits", OrNull(codes.entropy_bits)},
          {"saturated", OrNull(codes.saturated)}};
}

Json TensorJson(const TensorProfile& tensor) {
  Json json = {{"name", tensor.name},   {"shape", tensor.shape},
               {"dtype", tensor.dtype}, {"elements", tensor.quantized.count},
               {"float", nullptr},      {"quantized", ValuesJson(tensor.quantized)},
               {"error", nullptr},      {"codes", CodesJson(tensor.codes)}};
  if (tensor.exact) json["float"] = ValuesJson(*tensor.exact);
  if (tensor.error) json["error"] = ErrorJson(*tensor.error);
  const PairedHistogram& histogram = tensor.histogram;
  json["histogram"] = {{"low", JsonNumber(histogram.low)},
                       {"width", JsonNumber(histogram.width)},
                       {"float", histogram.exact},
                       {"quantized", histogram.quantized}};
  return json;
}

Json TensorsJson(const std::vector<TensorProfile>& tensors) {
  Json json = Json::array();
  for (const TensorProfile& tensor : tensors) {
    if (tensor.requested) json.push_back(TensorJson(tensor));
  }
  return json;
}

}  // namespace

Json ProfileJson(const RunProfile& profile) {
  Json json = {{"taps", TensorsJson(profile.taps)},
               {"weights", TensorsJson(profile.weights)},
               {"operations", Json::array()},
               {"peak_memory_bytes", nullptr}};
  for (const OperationCost& op : profile.operations) {
    json["operations"].push_back({{"name", op.output},
                                  {"kind", op.kind},
                                  {"seconds", op.seconds},
                                  {"operand_bytes", op.operand_bytes},
                                  {"result_bytes", op.result_bytes},
                                  {"macs", op.macs}});
  }
  if (!profile.operations.empty()) json["peak_memory_bytes"] = profile.peak_memory_bytes;
  return json;
}

}  // namespace qsim::report
