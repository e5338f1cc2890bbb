// Every number that goes into the chip, as one neutral table. All export formats are printed from
// it, so all hold the same numbers. docs/outputs.md, "Exports".
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/bundle/bundle.h"

namespace qsim::bundle {

// An integer array as hardware stores it: two's complement or unsigned at a fixed width that
// depends on the parameter, not on its values.
struct ExportInts {
  int bits = 32;  // 8, 16, 32 or 64
  bool is_signed = true;
  std::vector<std::int64_t> values;
};

// Names of a closed set (rounding modes, policies...). `code` is the number formats without strings
// use.
struct ExportChoice {
  std::string set;   // "rounding"
  std::string name;  // "half_up"
  std::int64_t code = 0;
};

struct ExportParameter {
  std::string name;  // "multiplier"
  Shape shape;       // empty for a scalar; [channels], [heads], ...
  std::string axis;  // of a vector: "tensor" (one entry for all), "channel", "head", "dimension"
  std::variant<ExportInts, std::vector<double>, ExportChoice, std::string> value;
  // Whether hardware stores it with the operation: not a constant's values, nor what a proof says.
  bool stored = true;
  bool multiplier = false;  // M of a ratio of scales
  bool scalar() const { return shape.empty(); }
};

// An operation, a tensor, or the whole ("hardware", "provenance"): a name and its parameters.
struct ExportGroup {
  std::string name;  // of the operation: its output tensor
  std::string kind;  // "gemm", "requantize", ..., "tensor", "hardware", "provenance"
  std::vector<ExportParameter> parameters;
};

struct ExportTable {
  int format_version = 1;
  std::vector<ExportChoice> choices;  // every name of every set, for formats that need numbers
  ExportGroup provenance, hardware;
  std::vector<ExportGroup> operations;  // in program order
  std::vector<ExportGroup> tensors;     // program tensors in order, then scaled constants by name
};

// The bundle's program must have passed Validate(). Throws InputError when two names become the
// same identifier, or a scale is not finite.
ExportTable BuildExportTable(const Bundle& bundle);

// "blocks.0.attn_q_out", "multiplier" -> "qsim_blocks_0_attn_q_out_multiplier".
std::string ExportIdentifier(const std::string& group, const std::string& parameter);

// The shortest decimal that reads back as the same double, always with a point: "0.5", "1.0e-05".
// Valid in JSON, YAML, C and SystemVerilog alike.
std::string RealText(double value);

}  // namespace qsim::bundle
