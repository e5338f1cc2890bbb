#include "sim/report/report_json.h"

#include "sim/report/json_values.h"
#include "sim/report/profile_json.h"

namespace qsim::report {
namespace {

using Json = nlohmann::ordered_json;

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json RangeJson(const AccRange& range) { return {{"min", range.min}, {"max", range.max}}; }

Json HardwareJson(const HardwareParams& hardware) {
  return {{"array_rows", hardware.array_rows},
          {"array_cols", hardware.array_cols},
          {"multiplier_bits", hardware.multiplier_bits},
          {"power_of_two", hardware.power_of_two}};
}

Json KernelsJson(const KernelReport& kernels) {
  return {
      {"kind", Name(kernels.kernels)},
      {"instruction_set", kernels.instruction_set.empty() ? Json() : Json(kernels.instruction_set)},
      {"by_reference", kernels.by_reference}};
}

Json ProvenanceJson(const Provenance& provenance) {
  return {{"qsim_version", provenance.qsim_version},
          {"config_sha256", provenance.config_hash},
          {"weights_sha256", provenance.weights_hash},
          {"contract", provenance.contract},
          {"contract_sha256", provenance.contract_hash}};
}

Json SizeJson(const SizeReport& size) {
  return {{"float_bytes", size.float_bytes},   {"integer_bytes", size.integer_bytes()},
          {"weight_bytes", size.weight_bytes}, {"bias_bytes", size.bias_bytes},
          {"table_bytes", size.table_bytes},   {"ratio", size.ratio()}};
}

Json MismatchJson(const FirstMismatch& mismatch) {
  return {{"index", mismatch.index},
          {"golden", mismatch.expected},
          {"rtl", mismatch.actual},
          {"tile", TextOrNull(mismatch.tile)},
          {"waveform", TextOrNull(mismatch.waveform)}};
}

Json TapJson(const TapReport& tap) {
  Json json = {{"name", tap.name},
               {"shape", tap.shape},
               {"dtype", tap.dtype},
               {"qsnr_db", OrNull(tap.qsnr_db)},
               {"ideal_qsnr_db", OrNull(tap.ideal_qsnr_db)},
               {"step_qsnr_db", OrNull(tap.step_qsnr_db)},
               {"cosine", OrNull(tap.cosine)},
               {"max_abs_error", OrNull(tap.max_abs_error)},
               {"saturated_share", JsonNumber(tap.saturated_share)},
               {"mismatches", OrNull(tap.mismatches)}};
  json["first_mismatch"] = tap.first_mismatch ? MismatchJson(*tap.first_mismatch) : Json(nullptr);
  return json;
}

Json AccumulatorJson(const AccumulatorReport& entry) {
  const AccumulatorProof& proof = entry.proof;
  Json json = {{"name", proof.tap},
               {"bits", proof.acc.bits},
               {"policy", Name(proof.acc.policy)},
               {"bits_needed", proof.bits_needed},
               {"fits", proof.fits()},
               {"worst_case", RangeJson(proof.range)}};
  if (proof.rows != 0) json["rows"] = proof.rows;
  json["worst_channel"] = proof.worst_channel < 0 ? Json(nullptr) : Json(proof.worst_channel);
  json["seen"] = entry.seen ? RangeJson(*entry.seen) : Json(nullptr);
  json["bits_seen"] = entry.seen ? Json(BitsFor(*entry.seen)) : Json(nullptr);
  return json;
}

Json CycleJson(const CycleReport& entry) {
  Json json = {
      {"name", entry.name}, {"cycles", entry.cycles}, {"macs", entry.macs}, {"tiles", entry.tiles}};
  json["utilisation"] = entry.macs == 0 ? Json(nullptr) : JsonNumber(entry.utilisation);
  return json;
}

}  // namespace

Json RunReportToJson(const RunReport& report) {
  Json json = {
      {"format", "qsim-report"},
      {"format_version", 1},
      {"scope", report.scope},
      {"images", report.images},
      {"lengths", report.lengths.empty() ? Json() : Json(report.lengths)},
      {"config_files", report.config_files},
      {"input", TextOrNull(report.input)},
      {"rtl", report.rtl},
      {"rtl_assertions", !report.rtl                    ? Json()
                         : report.rtl_checks_every_tile ? Json("every tile")
                                                        : Json("first two tiles of each product")},
      {"stall_seed", OrNull(report.stall_seed)},
      {"kernels", KernelsJson(report.kernels)},
      {"total_mismatches", nullptr},
      {"hardware", HardwareJson(report.hardware)},
      {"provenance", ProvenanceJson(report.provenance)}};
  if (report.rtl) json["total_mismatches"] = report.total_mismatches();
  json["size"] = report.size ? SizeJson(*report.size) : Json(nullptr);
  json["taps"] = ListJson(report.taps, TapJson);
  json["accumulators"] = ListJson(report.accumulators, AccumulatorJson);
  json["cycles"] = ListJson(report.cycles, CycleJson);
  json["notes"] = ListJson(report.notes, [](const LoweringNote& note) {
    return Json{{"kind", Name(note.kind)}, {"tensor", note.tensor}, {"text", note.text}};
  });
  json["profile"] =
      report.profile && report.profile->requested() ? ProfileJson(*report.profile) : Json(nullptr);
  return json;
}

std::string RunReportJsonText(const RunReport& report) {
  // Paths and notes come from outside and may not be UTF-8; a report is not the place to fail for
  // it.
  return RunReportToJson(report).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qsim::report
