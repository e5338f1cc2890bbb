// A run report with every feature of one, for the tests of its three printed forms.
#pragma once

#include <limits>

#include "sim/run/run_report.h"
#include "tests/namespaces.h"

namespace qsim::testing {

inline RunReport SampleReport(int blocks, bool rtl) {
  RunReport report;
  report.images = 8;
  report.config_files = {"configs/attn_config.yaml", "configs/block_config.yaml"};
  report.input = "vectors/";
  report.provenance = {"0.1.0", std::string(64, 'a'), std::string(64, 'b'), "default 1",
                       std::string(64, 'c')};
  report.rtl = rtl;
  const Shape tokens = {8, 17, 192};
  const Shape heads = {8, 3, 17, 17};
  struct Tap {
    const char* name;
    Shape shape;
    const char* dtype;
    double qsnr;
  };
  const std::vector<Tap> taps = {
      {"norm1", tokens, "int8", 38.2},       {"attn_qkv", {8, 17, 576}, "int32", 34.18},
      {"attn_q_out", tokens, "int8", 33.4},  {"attn_k_out", tokens, "int8", 33.9},
      {"attn_v_input", tokens, "int8", 29},  {"attn_kv_out", heads, "int8", 30.1},
      {"intSoft", heads, "uint8", 18.7},     {"attn_v_out", tokens, "int8", 24.3},
      {"attn_proj", tokens, "int32", 23.45}, {"residual1", tokens, "int16", 36.6}};
  for (int block = 0; block < blocks; ++block) {
    const std::string prefix = "blocks." + std::to_string(block) + ".";
    for (const Tap& sample : taps) {
      TapReport tap;
      tap.name = prefix + sample.name;
      tap.shape = sample.shape;
      tap.dtype = sample.dtype;
      tap.qsnr_db = sample.qsnr - block;
      tap.cosine = 0.999871;
      tap.max_abs_error = 0.01234;
      tap.saturated_share = 0.0004;
      if (rtl) tap.mismatches = 0;
      report.taps.push_back(tap);
    }
    for (const char* name : {"attn_qkv", "attn_kv_acc", "attn_v_acc", "attn_proj"}) {
      AccumulatorReport accumulator;
      accumulator.proof = {.tap = prefix + name,
                           .acc = {24, AccPolicy::kError},
                           .range = {-262144, 231111},
                           .bits_needed = 19,
                           .worst_channel = 12};
      accumulator.seen = AccRange{-20000, 31000};
      report.accumulators.push_back(accumulator);
      if (rtl) report.cycles.push_back({prefix + name, 123456, 9400320, 360, 0.297});
    }
    if (rtl) report.cycles.push_back({prefix + "attn_q_out", 3400, 0, 24, 0});
    report.notes.push_back({LoweringNote::Kind::kInfo, prefix + "residual1",
                            "no section in the configuration: 16 bits, layer_wise, MinMax"});
  }
  report.notes.push_back(
      {LoweringNote::Kind::kRaisedScale, "blocks.1.attn_qkv.weight",
       "channel 17 is nearly dead: scale raised from 1.2e-9 to 3.1e-7 so that the "
       "bias fits int32"});
  return report;
}

// The same with what a wrong RTL, odd values and long names add.
inline RunReport DifficultReport() {
  RunReport report = SampleReport(2, true);
  report.stall_seed = 42;
  report.taps[2].mismatches = 12;
  report.taps[2].first_mismatch = {
      {0, 3, 17}, -5, -4, "head 1, tile (0, 3)", "out/waves/blocks.0.attn_q_out.fst"};
  report.taps[3].qsnr_db = std::numeric_limits<double>::infinity();
  report.taps[4].qsnr_db = -10.55;
  report.taps[5].qsnr_db = -std::numeric_limits<double>::infinity();
  report.taps[6].qsnr_db.reset();
  report.taps[6].cosine.reset();
  report.taps[6].max_abs_error.reset();
  report.taps[7].mismatches.reset();
  report.taps[8].max_abs_error = 1.5e300;
  report.taps[9].shape = {100000, 12, 197, 197};
  report.taps[9].saturated_share = 1;
  report.taps[9].mismatches = 123456789012;
  report.taps[10].name = "blocks.1.a_tensor_whose_name_is_longer_than_the_column_that_names_have";
  report.taps[11].name = std::string(200, 'x') + "<&\">";
  report.accumulators[1].proof.acc = {16, AccPolicy::kWrap};
  report.accumulators[2].proof.worst_channel = -1;
  report.accumulators[3].seen.reset();
  report.accumulators[3].proof.tap = std::string(120, 'y');
  report.notes.push_back({LoweringNote::Kind::kSubstitution, "blocks.0.attn_kv_out",
                          std::string("channel_wise is not realisable <here>, head_wise used; ") +
                              std::string(150, 'w')});
  for (int i = 0; i < 20; ++i)
    report.notes.push_back(
        {LoweringNote::Kind::kInfo, "blocks.0.norm1", "distinct note number " + std::to_string(i)});
  return report;
}

}  // namespace qsim::testing
