// Writes the conformance cases of tests/conform/cases: inputs drawn here, every expected value from
// the second derivation (derived_outputs.h). The same bytes every time.
//
//   make_cases DIR
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "derivation/exact.h"
#include "derivation/requantize_values.h"
#include "derivation/softmax_rows.h"
#include "sim/io/tensors/npy.h"
#include "tests/conform/derived_outputs.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using derivation::Comparison;
using nlohmann::ordered_json;

using Values = std::vector<std::int64_t>;

// Reals stay float64: scales are compared to 1e-12.
void WriteReals(const fs::path& path, const DoubleTensor& tensor) {
  std::string shape;
  for (const std::int64_t n : tensor.shape) shape += fmt::format("{},", n);
  std::string header =
      fmt::format("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", shape);
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::ofstream out(path, std::ios::binary);
  out << "\x93NUMPY" << '\x01' << '\x00' << static_cast<char>(header.size() & 0xff)
      << static_cast<char>(header.size() >> 8) << header;
  out.write(reinterpret_cast<const char*>(tensor.data.data()),
            static_cast<std::streamsize>(tensor.data.size() * sizeof(double)));
}

class CaseWriter {
 public:
  // Draws depend on the case's name only, so that another case changes nothing here.
  CaseWriter(const fs::path& root, const std::string& op, const std::string& algorithm,
             const std::string& name)
      : dir_(root / op / algorithm / name), draw_(SeedOf(op + algorithm + name)) {
    fs::create_directories(dir_);
    case_["op"] = op;
    case_["algorithm"] = algorithm;
    case_["source"] = "qsim's second derivation (derivation/, tests/conform/make_cases.cpp)";
    case_["params"] = ordered_json::object();
    case_["inputs"] = ordered_json::object();
    case_["outputs"] = ordered_json::object();
  }
  Comparison& draw() { return draw_; }
  template <typename T>
  CaseWriter& Param(const std::string& key, const T& value) {
    case_["params"][key] = value;
    return *this;
  }
  CaseWriter& Params(const ordered_json& values) {
    case_["params"].update(values);
    return *this;
  }

  CaseWriter& Input(const std::string& name, const Shape& shape, const Values& values) {
    Integers integers{shape, {}};
    for (const std::int64_t value : values) integers.values.push_back(derivation::Big(value));
    return Write("inputs", name, ToTensor(integers));
  }
  // Anything in lo..hi, ends included.
  CaseWriter& Random(const std::string& name, const Shape& shape, std::int64_t lo,
                     std::int64_t hi) {
    Values values(static_cast<std::size_t>(ElementCount(shape)));
    for (std::int64_t& value : values) value = draw_.Corner(lo, hi);
    return Input(name, shape, values);
  }
  CaseWriter& Input(const std::string& name, const DoubleTensor& reals) {
    return Write("inputs", name, reals);
  }

  // From the folder as it is now, outputs and all.
  void Derive(const std::string& notes) {
    WriteJson();
    for (const auto& [name, tensor] : DerivedOutputs(ConformCase::Load(dir_))) {
      Write("outputs", name, tensor);
    }
    case_["notes"] = notes;
    WriteJson();
  }

 private:
  static std::uint64_t SeedOf(const std::string& name) {
    std::uint64_t seed = 14695981039346656037U;  // FNV-1a
    for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
    return seed;
  }
  CaseWriter& Write(const char* kind, const std::string& name, const ExactTensor& tensor) {
    const std::string file =
        fmt::format("{}_{}.npy", kind == std::string("inputs") ? "in" : "out", name);
    case_[kind][name] = file;
    if (const auto* integers = std::get_if<IntTensor>(&tensor)) {
      WriteNpy(dir_ / file, *integers);
    } else {
      WriteReals(dir_ / file, std::get<DoubleTensor>(tensor));
    }
    return *this;
  }
  void WriteJson() const { std::ofstream(dir_ / "case.json") << case_.dump(1) << "\n"; }

  fs::path dir_;
  Comparison draw_;
  ordered_json case_;
};

// ---- requantizers ----

// A quarter of the elements are exact ties or lie beside one. Every result fits 32 bits, as the
// RTL's must.
struct Scalings {
  Values v, m, shift;
  Scalings(Comparison& draw, const derivation::ScalingLimits& limits, int count) {
    while (v.size() < static_cast<std::size_t>(count)) {
      const derivation::Scaling s = derivation::DrawScaling(draw, limits);
      const mpq_class y = derivation::Scaled(derivation::Big(s.v) * s.m, -s.shift);
      if (abs(y) > INT32_MAX - 1) continue;
      v.push_back(s.v);
      m.push_back(s.m);
      shift.push_back(s.shift);
    }
  }
  Values LeftOf(int base) const {
    Values left = shift;
    for (std::int64_t& s : left) s = base - s;
    return left;
  }
};

constexpr int kElements = 160;

void WriteRequantizers(const fs::path& root) {
  constexpr std::int64_t kInt31 = INT32_MAX;
  const std::string note = "Per element; a quarter are exact ties or beside one.";
  struct PerElement {
    const char* algorithm;
    derivation::ScalingLimits limits;
    int left_shift_base;  // 0: right shifts
    const char* name;
  };
  for (const PerElement& scheme :
       {PerElement{"tflite_double_rounding", {32, 0, kInt31, 1, 62, 31}, 31, "ties"},
        PerElement{"tflite_double_rounding", {20, 0, kInt31, 25, 31, 31}, 31, "left_shifts"},
        PerElement{"tflite_single_rounding", {32, 0, kInt31, 1, 62, 31}, 31, "ties"},
        PerElement{"cmsisnn_s64", {48, 0, 32767, 1, 62, 15}, 15, "ties"},
        PerElement{"tosa_scale32", {32, 0, kInt31, 2, 62, 31}, 0, "ties"},
        PerElement{"tosa_scale32", {32, 0, kInt31, 2, 62, 31}, 0, "ties_double"},
        PerElement{"tosa_scale16", {48, 0, 32767, 2, 62, 15}, 0, "ties"}}) {
    CaseWriter c(root, "requant", scheme.algorithm, scheme.name);
    const Scalings s(c.draw(), scheme.limits, kElements);
    if (std::string(scheme.algorithm) == "tosa_scale32") {
      c.Param("double_round", std::string(scheme.name) == "ties_double");
    }
    c.Input("v", {kElements}, s.v).Input("multiplier", {kElements}, s.m);
    c.Input("shift", {kElements},
            scheme.left_shift_base == 0 ? s.shift : s.LeftOf(scheme.left_shift_base));
    c.Derive(note);
  }
  {
    CaseWriter c(root, "requant", "ita_rtl", "ties");
    const Scalings s(c.draw(), {26, 0, 255, 0, 31, 8}, kElements);
    c.Input("v", {kElements}, s.v)
        .Input("mult", {kElements}, s.m)
        .Input("shift", {kElements}, s.shift);
    c.Random("add", {kElements}, -128, 127).Derive(note);
  }
  for (const bool wide : {false, true}) {
    CaseWriter c(root, "requant", "ita", wide ? "shifts_above_22" : "heads");
    const Values shift = wide ? Values{23, 24, 25} : Values{0, 8, 14};
    const std::int64_t per_head = kElements / 4;
    Values v;
    for (const std::int64_t s : shift) {
      // Around the half steps of the head's output, down to the 2^-23 that ITA adds.
      const std::int64_t half = s == 0 ? 1 : std::int64_t{1} << (s - 1);
      for (std::int64_t i = 0; i < per_head; ++i) {
        v.push_back(std::clamp<std::int64_t>(
            half * c.draw().Between(-7, 7) + c.draw().Between(-3, 3), -(1 << 25), (1 << 25) - 1));
      }
    }
    c.Input("v", {3, per_head}, v).Input("mult", {3}, {1, 3, 1}).Input("shift", {3}, shift);
    c.Input("add", {3}, {0, -100, 90}).Derive("mult, shift and add per head (first axis).");
  }
  for (const bool rounding : {false, true}) {
    CaseWriter c(root, "requant", "deeploy_requantshift", rounding ? "rounding" : "floor");
    c.Params({{"log2D", 6},
              {"rounding", rounding},
              {"input_offset", 3},
              {"output_offset", -5},
              {"output_min", -128},
              {"output_max", 120}});
    c.Random("v", {20, 8}, -2000, 2000).Random("mul", {8}, -7, 7).Random("add", {8}, -64, 64);
    c.Derive("mul and add per channel (last axis).");
  }
  for (const bool residual : {false, true}) {
    CaseWriter c(root, "requant", "ibert_dyadic", residual ? "residual" : "channels");
    c.Param("bits", residual ? 16 : 8);
    c.Random("z", {20, 8}, -(1 << 24), 1 << 24);
    c.Random("m", {8}, std::int64_t{1} << 30, std::int64_t{1} << 31).Random("e", {8}, 38, 54);
    if (residual) {
      c.Random("identity", {20, 8}, -32768, 32767);
      c.Random("identity_m", {8}, std::int64_t{1} << 30, std::int64_t{1} << 31);
      c.Random("identity_e", {8}, 29, 33);
    }
    c.Derive("m and e per channel. Products of a residual are rounded one by one.");
  }
}

// ---- products ----

void WriteProducts(const fs::path& root) {
  const ordered_json offsets = {{"input_offset", 17},
                                {"filter_offset", -3},
                                {"output_offset", -11},
                                {"activation_min", -120},
                                {"activation_max", 127}};
  {
    CaseWriter c(root, "matmul_requant", "cmsisnn_fully_connected_s8", "offsets");
    c.Params(offsets).Params({{"multiplier", 1518500250}, {"shift", -9}});
    c.Random("input", {5, 21}, -128, 127).Random("weights", {6, 21}, -128, 127);
    c.Random("bias", {6}, -9000, 9000).Derive("One multiplier.");
  }
  {
    CaseWriter c(root, "matmul_requant", "cmsisnn_fc_per_ch", "offsets");
    c.Params(offsets);
    c.Random("input", {5, 21}, -128, 127).Random("weights", {6, 21}, -128, 127);
    c.Random("bias", {6}, -9000, 9000).Random("multiplier", {6}, 1 << 30, INT32_MAX);
    c.Random("shift", {6}, -12, -7).Derive("A multiplier for each output.");
  }
  {
    CaseWriter c(root, "matmul_requant", "cmsisnn_batch_matmul_s8", "broadcast");
    c.Params(offsets).Params({{"multiplier", 1518500250}, {"shift", -9}});
    c.Random("lhs", {2, 2, 3, 13}, -128, 127).Random("rhs_t", {1, 2, 4, 13}, -128, 127);
    c.Derive("The second operand serves both batches.");
  }
}

// ---- rows ----

// Rows of one length: anything, equal, one high, few values, rising.
Values Rows(Comparison& draw, std::int64_t rows, std::int64_t width, std::int64_t lo,
            std::int64_t hi) {
  Values x;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t base = draw.Between(lo, hi), other = draw.Between(lo, hi);
    for (std::int64_t i = 0; i < width; ++i) {
      switch (row % 5) {
        case 1:
          x.push_back(base);
          break;
        case 2:
          x.push_back(i == width / 2 ? hi : lo);
          break;
        case 3:
          x.push_back(draw.Between(0, 1) == 0 ? base : other);
          break;
        case 4:
          x.push_back(lo + i * (hi - lo) / width);
          break;
        default:
          x.push_back(draw.Between(lo, hi));
      }
    }
  }
  return x;
}

// I-BERT's constants of a score scale 0.6931 / k.
ordered_json ExpOf(std::int64_t k) {
  return {
      {"x0_int", -k}, {"b_int", k * 39061 / 10000}, {"c_int", k * k * 58121 / 10000}, {"n", 30}};
}

void WriteSoftmaxes(const fs::path& root) {
  const ordered_json ita = {{"shift_bits", 0}, {"levels", 256}};
  const ordered_json deeploy = {{"shift_bits", 5}, {"levels", 256}, {"output_offset", -128}};
  const ordered_json grouped = {{"group", 4}};
  ordered_json ibert = ExpOf(17);
  {
    // M / 2^k = 32767 / (c 2^30) with 31 bits.
    const mpq_class factor = derivation::Ratio(
        32767, derivation::Big(ibert.at("c_int").get<std::int64_t>()) * derivation::Power2(30));
    int shift = 0;
    while (derivation::Scaled(factor, shift) < mpq_class(derivation::Power2(30))) ++shift;
    ibert.update({{"output_bits", 8},
                  {"act16_multiplier",
                   derivation::Small(derivation::HalfEven(derivation::Scaled(factor, shift)))},
                  {"act16_shift", shift}});
  }
  ordered_json logint = ExpOf(9);
  logint["bits"] = 4;
  const auto with = [](ordered_json params, const ordered_json& more) {
    params.update(more);
    return params;
  };
  struct Case {
    const char* algorithm;
    const char* name;
    ordered_json params;
  };
  for (const Case& softmax : std::vector<Case>{
           {"ibert", "int8", ibert},
           {"fqvit_logint", "int8", logint},
           {"ivit_shiftmax", "int8", {{"x0_int", -16}, {"n", 15}, {"output_bits", 8}}},
           {"ita", "t0", ita},
           {"ita", "t5", with(ita, {{"shift_bits", 5}})},
           {"ita_streaming", "t0", with(ita, grouped)},
           {"ita_streaming", "t5", with(with(ita, grouped), {{"shift_bits", 5}})},
           {"deeploy_itamax", "int8", deeploy},
           {"deeploy_itapartialmax", "int8", with(with(deeploy, grouped), {{"levels", 128}})},
           {"deeploy_isoftmax",
            "int8",
            {{"coeffA", 1},
             {"coeffB", 33},
             {"coeffC", 576},
             {"log2", 17},
             {"levels", 256},
             {"output_offset", -128}}},
           {"tflite_s8",
            "int8",
            {{"input_beta_multiplier", 1374389535},
             {"input_beta_left_shift", 22},
             {"diff_min", -496},
             {"output_bits", 8}}},
           {"tflite_s8",
            "int16_output",
            {{"input_beta_multiplier", 1374389535},
             {"input_beta_left_shift", 22},
             {"diff_min", -496},
             {"output_bits", 16}}}}) {
    CaseWriter c(root, "softmax", softmax.algorithm, softmax.name);
    c.Params(softmax.params).Input("x", {10, 18}, Rows(c.draw(), 10, 18, -128, 127));
    c.Derive("Rows: any, equal, one high, two values, rising; twice.");
  }
}

DoubleTensor Reals(Comparison& draw, const Shape& shape, std::int64_t lo, std::int64_t hi,
                   int bits) {
  DoubleTensor reals{shape, {}};
  for (std::int64_t i = 0; i < ElementCount(shape); ++i) {
    reals.data.push_back(std::ldexp(static_cast<double>(draw.Between(lo, hi)), -bits));
  }
  return reals;
}

void WriteLayernorms(const fs::path& root) {
  for (const char* algorithm : {"ibert", "ivit"}) {
    CaseWriter c(root, "layernorm", algorithm, "int16");
    // A constant row has no std of its own in I-BERT's source.
    Values x = Rows(c.draw(), 5, 12, -9000, 9000);
    for (std::int64_t i = 0; algorithm == std::string("ibert") && i < 12; ++i) {
      x[static_cast<std::size_t>(12 + i)] = i % 2;
    }
    c.Input("x", {5, 12}, x).Random("bias_int", {12}, -(1 << 28), 1 << 28);
    c.Random("m", {12}, std::int64_t{1} << 30, INT32_MAX).Random("e", {12}, 52, 55);
    if (algorithm == std::string("ibert")) c.Param("shift", 0);
    c.Derive("The second row is constant (ivit), or its mean lies between two integers (ibert).");
  }
  {
    CaseWriter c(root, "layernorm", "ibert", "shifted");
    c.Param("shift", 3).Input("x", {3, 12}, Rows(c.draw(), 1, 36, -(1 << 23), 1 << 23));
    c.Random("bias_int", {12}, -(1 << 28), 1 << 28).Derive("The squares lose three bits.");
  }
  for (const bool wrap : {false, true}) {
    CaseWriter c(root, "layernorm", "deeploy", wrap ? "wrap" : "int8");
    c.Params({{"log2D", 8}, {"input_offset", 7}});
    c.Input("x", {5, 12}, Rows(c.draw(), 5, 12, -128, 127));
    c.Random("weight", {12}, -(wrap ? 60000 : 9000), wrap ? 60000 : 9000);
    c.Random("bias", {12}, -4000, 4000).Derive("Results are int8: they wrap.");
  }
  // Rows whose squares are about as large as eps, and one whose squares are none.
  for (const char* algorithm : {"ibert", "ivit"}) {
    CaseWriter c(root, "layernorm", algorithm, "eps");
    c.Param("eps", 1000000).Input("x", {5, 12}, Rows(c.draw(), 5, 12, -400, 400));
    c.Random("bias_int", {12}, -(1 << 28), 1 << 28).Derive("eps is beside the squares.");
  }
  {
    CaseWriter c(root, "layernorm", "deeploy", "eps");
    c.Params({{"log2D", 8}, {"input_offset", 7}, {"eps", 20000}});
    c.Input("x", {5, 12}, Rows(c.draw(), 5, 12, -60, 60));
    c.Random("weight", {12}, -9000, 9000);
    c.Random("bias", {12}, -4000, 4000).Derive("eps is beside the squares.");
  }
  {
    CaseWriter c(root, "layernorm", "fqvit", "ptf");
    c.Input("x_q", {4, 12}, Rows(c.draw(), 1, 48, -128, 127));
    Values mask;
    for (int i = 0; i < 12; ++i) mask.push_back(1 << c.draw().Between(0, 3));
    c.Input("scale_mask", {12}, mask);
    DoubleTensor weight = Reals(c.draw(), {12}, -3000, 3000, 11);
    weight.data.back() = 0;
    c.Input("weight", weight).Input("bias", Reals(c.draw(), {12}, -3000, 3000, 11));
    c.Input("out_scale", Reals(c.draw(), {12}, 1, 900, 14));
    c.Derive("M carries the sign; the last weight is 0.");
  }
}

void WriteGelus(const fs::path& root) {
  Values codes(256);
  for (std::int64_t code = -128; code < 128; ++code)
    codes[static_cast<std::size_t>(code + 128)] = code;
  {
    CaseWriter c(root, "gelu", "ibert", "channels");
    c.Params({{"n", 14},
              {"b_int", {-5003, -2501, -1250, -80}},
              {"c_int", {-27706000, -6926500, -1731000, -7090}},
              {"shift_int", {-1692, -423, -106, -1}}});
    c.Input("x", {40, 4}, Rows(c.draw(), 1, 160, -32768, 32767))
        .Derive("Constants for each channel.");
  }
  {
    CaseWriter c(root, "gelu", "ivit_shiftgelu", "int8");
    c.Params({{"x0_int", -13}, {"n", 23}, {"output_bits", 8}});
    c.Input("x", {10, 16}, Rows(c.draw(), 10, 16, -128, 127))
        .Derive("An element depends on its row.");
  }
  {
    CaseWriter c(root, "gelu", "ita", "all_codes");
    c.Params({{"q_1", -7091}, {"q_b", -80}, {"q_c", -7091}});
    c.Params({{"eps_mul", 74}, {"eps_shift", 20}, {"eps_add", -3}});
    c.Input("x", {256}, codes).Derive("All 256 inputs; -128 is read as -127.");
  }
  {
    CaseWriter c(root, "gelu", "deeploy", "all_codes");
    c.Params({{"b", -40}, {"one", 1743}, {"input_offset", 5}});
    c.Params({{"mul", 3}, {"add", 100}, {"shift", 12}, {"output_offset", -9}});
    c.Input("x", {256}, codes).Derive("All 256 inputs.");
  }
}

// ---- attention ----

void WriteIta(const fs::path& root, const std::string& name, const std::string& softmax,
              const std::string& activation) {
  constexpr std::int64_t kS = 7, kE = 8, kP = 5, kH = 2, kF = 6;
  CaseWriter c(root, "attention", "ita_mha", name);
  c.Params({{"S", kS}, {"E", kE}, {"P", kP}, {"F", kF}, {"H", kH}, {"accumulator_bits", 26}});
  c.Params({{"softmax", softmax}, {"softmax_shift_bits", 0}, {"group", 4}});
  const bool gelu = activation == "gelu";
  c.Params({{"activation", activation},
            {"gelu",
             {{"q_1", -7091},
              {"q_b", -80},
              {"q_c", -7091},
              {"eps_mul", gelu ? 74 : 200},
              {"eps_shift", gelu ? 20 : 8},
              {"eps_add", 0}}}});
  c.Random("q_in", {kS, kE}, -128, 127).Random("kv_in", {kS, kE}, -128, 127);
  for (const char* weight : {"wq", "wk", "wv"}) c.Random(weight, {kH, kE, kP}, -128, 127);
  for (const char* bias : {"bq", "bk", "bv"}) c.Random(bias, {kH, kP}, -2000, 2000);
  c.Random("wo", {kH, kP, kE}, -128, 127).Random("bo", {kH, kE}, -2000, 2000);
  // So that every step uses most of its eight bits.
  Values shift;
  for (const std::int64_t s : {15, 15, 15, 17, 16, 17, 8}) shift.insert(shift.end(), kH, s);
  c.Random("rq_mult", {7, kH}, 128, 255).Input("rq_shift", {7, kH}, shift);
  c.Random("rq_add", {7, kH}, -9, 9);
  c.Random("ff_in", {kS, kE}, -128, 127).Random("wff1", {1, kE, kF}, -128, 127);
  c.Random("wff2", {1, kF, kE}, -128, 127);
  c.Random("bff1", {1, kF}, -2000, 2000).Random("bff2", {1, kE}, -2000, 2000);
  c.Random("ffn_rq_mult", {2, 1}, 128, 255).Input("ffn_rq_shift", {2, 1}, {17, 16});
  c.Random("ffn_rq_add", {2, 1}, -9, 9);
  c.Derive("Every intermediate is an output.");
}

ordered_json Step(const std::string& op, const std::vector<std::string>& in, const std::string& out,
                  const ordered_json& more = ordered_json::object()) {
  ordered_json step = {{"op", op}, {"in", in}, {"out", out}};
  step.update(more);
  return step;
}

ordered_json Narrowed(const std::string& in, const std::string& out, std::int64_t mul,
                      std::int64_t add = 0) {
  return Step("requantshift", {in}, out,
              {{"mul", mul}, {"add", add}, {"log2D", 14}, {"min", -128}, {"max", 127}});
}

void WriteNetwork(const fs::path& root, const std::string& algorithm, const std::string& softmax,
                  const ordered_json& constants, const std::string& suffix = "") {
  constexpr std::int64_t kS = 6, kE = 8, kHidden = 10;
  const ordered_json query = {{"heads", 2}, {"perm", {0, 2, 1, 3}}};
  const ordered_json key = {{"heads", 2}, {"perm", {0, 2, 3, 1}}};
  ordered_json steps = ordered_json::array();
  steps.push_back(Step("layernorm", {"x", "ln_weight", "ln_bias"}, "ln", {{"log2D", 8}}));
  for (const char* name : {"k", "q", "v"}) {
    const std::string n = name;
    steps.push_back(Step("matmul", {"ln", "w_" + n}, n + "_mm"));
    steps.push_back(Step("add", {"b_" + n, n + "_mm"}, n + "_acc"));
    steps.push_back(Narrowed(n + "_acc", n, 60));
    steps.push_back(Step("split_heads", {n}, n + "_heads", n == "k" ? key : query));
  }
  steps.push_back(Step("matmul", {"q_heads", "k_heads"}, "qk_acc"));
  steps.push_back(Narrowed("qk_acc", "qk", 200, 1 << 13));
  steps.push_back(Step(softmax, {"qk"}, "probs", constants));
  steps.push_back(Step("matmul", {"probs", "v_heads"}, "av_acc"));
  steps.push_back(Narrowed("av_acc", "av", 75));
  steps.push_back(Step("merge_heads", {"av"}, "merged"));
  steps.push_back(Step("matmul", {"merged", "w_proj"}, "proj_acc"));
  steps.push_back(Narrowed("proj_acc", "proj", 90));
  steps.push_back(Step("add", {"x", "proj"}, "sum"));
  steps.push_back(Narrowed("sum", "res", 1 << 13));
  steps.push_back(Step("matmul", {"res", "w_fc1"}, "fc1_acc"));
  steps.push_back(Narrowed("fc1_acc", "fc1", 100));
  steps.push_back(Step("gelu", {"fc1"}, "gelu_acc", {{"b", -40}, {"one", 1743}}));
  steps.push_back(Narrowed("gelu_acc", "gelu", 7));
  steps.push_back(Step("matmul", {"gelu", "w_fc2"}, "fc2_acc"));
  steps.push_back(Narrowed("fc2_acc", "out", 80));

  CaseWriter c(root, "attention", algorithm, softmax + suffix);
  c.Param("steps", steps).Random("x", {1, kS, kE}, -128, 127);
  c.Random("ln_weight", {kE}, -9000, 9000).Random("ln_bias", {kE}, -4000, 4000);
  for (const char* name : {"k", "q", "v"}) {
    c.Random(std::string("w_") + name, {kE, kE}, -128, 127);
    c.Random(std::string("b_") + name, {kE}, -3000, 3000);
  }
  c.Random("w_proj", {kE, kE}, -128, 127).Random("w_fc1", {kE, kHidden}, -128, 127);
  c.Random("w_fc2", {kHidden, kE}, -128, 127).Derive("Every intermediate is an output.");
}

void WriteAttention(const fs::path& root) {
  WriteIta(root, "streaming_gelu", "streaming", "gelu");
  WriteIta(root, "one_pass_relu", "one_pass", "relu");
  WriteNetwork(root, "icct_block", "itamax", ordered_json::object());
  WriteNetwork(root, "icct_block", "itapartialmax", {{"group", 4}});
  WriteNetwork(root, "icct_block", "itapartialmax", {{"group", 4}, {"levels", 128}}, "_7bit");
  WriteNetwork(root, "deeploy_attention", "isoftmax",
               {{"levels", 256}, {"coeffA", 1}, {"coeffB", 173}, {"coeffC", 15599}, {"log2", 127}});
}

// ---- observers ----

void WriteObservers(const fs::path& root) {
  for (const char* observer : {"minmax", "ema", "percentile", "omse", "ptf"}) {
    const std::string kind = observer;
    for (const bool is_signed : {true, false}) {
      // Percentiles are a whole batch's, powers of two are channels'.
      const bool by_channel = kind == "ptf" || (is_signed && kind != "percentile");
      CaseWriter c(
          root, "observer", "fqvit_" + kind,
          fmt::format("{}_{}", by_channel ? "channel" : "layer", is_signed ? "int8" : "uint8"));
      c.Params({{"observer", kind},
                {"bit_type", is_signed ? "int8" : "uint8"},
                {"qmin", is_signed ? -128 : 0},
                {"qmax", is_signed ? 127 : 255},
                {"signed", is_signed},
                {"calibration_mode", by_channel ? "channel_wise" : "layer_wise"},
                {"batches", 3}});
      if (kind == "ema" || kind == "percentile") c.Param("sigma", 0.125);
      if (kind == "percentile") c.Param("alpha", 0.96875);
      for (int batch = 0; batch < 3; ++batch) {
        DoubleTensor x = Reals(c.draw(), {2, 5, 4}, -3000, 3500, 10);
        for (std::size_t i = 0; i < x.data.size(); i += 4) x.data[i] /= 8;  // channels differ
        c.Input("x" + std::to_string(batch), x);
      }
      c.Derive("Compare scale to 1e-12 relative, zero_point and q exactly.");
    }
  }
}

// ---- quantize ----

// Every other value is a tie; scales are powers of two, so that ties are exact.
void WriteQuantizers(const fs::path& root) {
  for (const char* algorithm : {"qsim", "onnx", "tflite"}) {
    for (const bool is_signed : {true, false}) {
      CaseWriter c(root, "quantize", algorithm, is_signed ? "channel_int8" : "tensor_uint8");
      c.Params({{"qmin", is_signed ? -128 : 0}, {"qmax", is_signed ? 127 : 255}});
      DoubleTensor x = Reals(c.draw(), {8, 6}, -1100, 1100, 3);
      for (std::size_t i = 0; i < x.data.size(); i += 2)
        x.data[i] = std::floor(x.data[i]) / 8 + 0.5;
      c.Input("x", x);
      if (is_signed) {
        c.Input("scale", DoubleTensor{{6}, {1, 0.5, 0.25, 1, 2, 0.125}});
        c.Input("zero_point", {6}, {-3, 0, 7, -128, 1, 126});
      } else {
        c.Input("scale", DoubleTensor{{1}, {1}}).Input("zero_point", {1}, {127});
      }
      c.Derive("Ties at odd zero points tell the three rules apart.");
    }
  }
}

}  // namespace
}  // namespace qsim::testing

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_cases DIR\n";
    return 2;
  }
  const std::filesystem::path root = argv[1];
  qsim::testing::WriteRequantizers(root);
  qsim::testing::WriteProducts(root);
  qsim::testing::WriteSoftmaxes(root);
  qsim::testing::WriteLayernorms(root);
  qsim::testing::WriteGelus(root);
  qsim::testing::WriteAttention(root);
  qsim::testing::WriteObservers(root);
  qsim::testing::WriteQuantizers(root);
}
