// The SystemVerilog and C exports, compiled by their own tools, hold the numbers of the JSON
// export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/export/export_formats.h"
#include "tests/report/sample_bundle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// One number of the JSON export: the identifier it has elsewhere, and its value.
struct Expected {
  std::string identifier;
  std::size_t index = 0;
  bool scalar = false;
  bool real = false;
  std::int64_t integer = 0;  // of a real: the bits of the double
  std::string choice;        // "QSIM_ROUNDING_HALF_UP" instead of a number
};

// The enumerator that stands for a name; "" for text that is not of a closed set.
std::string ChoiceOf(const std::string& kind, const std::string& parameter,
                     const std::string& name) {
  static const std::map<std::string, std::string> kSets = {{"rounding", "ROUNDING"},
                                                           {"acc_policy", "ACC_POLICY"},
                                                           {"mode", "OPERAND_MODE"},
                                                           {"softmax algorithm", "SOFTMAX"},
                                                           {"gelu algorithm", "GELU"}};
  const auto set = kSets.find(parameter == "algorithm" ? kind + " algorithm" : parameter);
  if (set == kSets.end()) return "";
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  return "QSIM_" + set->second + "_" + upper;
}

void AddGroup(const Json& group, const std::string& name, std::vector<Expected>& out) {
  for (const auto& item : group.items()) {
    const std::string identifier = ExportIdentifier(name, item.key());
    const Json& value = item.value();
    if (value.is_number()) {
      out.push_back({identifier, 0, true, false, value.get<std::int64_t>(), ""});
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        const bool real = value[i].is_number_float();
        const std::int64_t word = real ? std::bit_cast<std::int64_t>(value[i].get<double>())
                                       : value[i].get<std::int64_t>();
        out.push_back({identifier, i, false, real, word, ""});
      }
    } else if (value.is_string()) {
      const std::string choice = ChoiceOf(group.value("kind", ""), item.key(), value);
      if (!choice.empty()) out.push_back({identifier, 0, true, false, 0, choice});
    }
  }
}

std::vector<Expected> ExpectedNumbers(const ExportTable& table) {
  const Json json = Json::parse(ExportJson(table));
  std::vector<Expected> out;
  AddGroup(json["hardware"], "hardware", out);
  for (const Json& group : json["operations"]) AddGroup(group, group["name"], out);
  for (const Json& group : json["tensors"]) AddGroup(group, group["name"], out);
  return out;
}

void WriteText(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool Have(const std::string& tool) {
  return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
}

class ExportCompileTest : public ::testing::Test {
 protected:
  const fs::path& dir() const { return temp_.path(); }

  // Runs in the temporary directory; what it prints is shown when it fails.
  ::testing::AssertionResult Run(const std::string& command) {
    const std::string line = "cd '" + dir().string() + "' && { " + command + "; } > log 2>&1";
    if (std::system(line.c_str()) == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << command << "\n" << ReadText(dir() / "log");
  }

  // `log` holds a line "<identifier> <index> <value>" per expected number.
  void ExpectPrinted(const std::vector<Expected>& expected) {
    std::map<std::string, std::string> printed;
    std::istringstream stream(ReadText(dir() / "log"));
    for (std::string name, index, value; stream >> name >> index >> value;)
      printed[name + " " + index] = value;
    int compared = 0;
    for (const Expected& entry : expected) {
      const std::string key = entry.identifier + " " + std::to_string(entry.index);
      ASSERT_TRUE(printed.contains(key)) << key;
      const std::int64_t want = entry.choice.empty() ? entry.integer : 1;
      EXPECT_EQ(printed[key], std::to_string(want)) << key;
      ++compared;
    }
    EXPECT_GT(compared, 300);
  }

  ExportTable table_ = BuildExportTable(testing::SampleBundle());
  testing::TempDir temp_;
};

std::string SvTestbench(const std::vector<Expected>& expected) {
  std::string out = "module tb;\n  `include \"qsim_params.svh\"\n  initial begin\n";
  for (const Expected& entry : expected) {
    const std::string name = entry.identifier + (entry.real ? "_f64" : "");
    std::string value = name;
    if (!entry.choice.empty()) {
      value = "(" + name + " == " + entry.choice + " ? 1 : 0)";
    } else if (!entry.scalar) {
      value = "$signed(" + name + "[" + std::to_string(entry.index) + "*" + name +
              "_width +: " + name + "_width])";
    }
    out += "    $display(\"" + entry.identifier + " " + std::to_string(entry.index) + " %0d\", " +
           value + ");\n";
  }
  return out + "    $finish;\n  end\nendmodule\n";
}

TEST_F(ExportCompileTest, SvhUnderVerilatorHoldsTheJsonNumbers) {
  if (!Have("verilator")) GTEST_SKIP() << "no verilator here";
  const std::vector<Expected> expected = ExpectedNumbers(table_);
  WriteText(dir() / "qsim_params.svh", ExportSvh(table_));
  WriteText(dir() / "tb.sv", SvTestbench(expected));
  ASSERT_TRUE(Run("verilator --lint-only -Wall --top-module tb tb.sv"));
  ASSERT_TRUE(Run("verilator --binary -Wall -O0 -CFLAGS -O0 --top-module tb tb.sv"));
  ASSERT_TRUE(Run("./obj_dir/Vtb"));
  ExpectPrinted(expected);
}

TEST_F(ExportCompileTest, SvhInAPackageAndTwiceInOneCompilation) {
  if (!Have("verilator")) GTEST_SKIP() << "no verilator here";
  WriteText(dir() / "qsim_params.svh", ExportSvh(table_));
  WriteText(dir() / "package.sv",
            "package qsim_params;\n  `include \"qsim_params.svh\"\nendpackage\n"
            "module top (output logic signed [31:0] m_o, output logic [7:0] rows_o);\n"
            "  assign m_o = qsim_params::qsim_blocks_0_residual1_a_multiplier[1*32 +: 32];\n"
            "  logic [7:0] second;\n  user user (.rows_o(second));\n  assign rows_o = second;\n"
            "endmodule\n"
            "`undef QSIM_PARAMS_SVH\n"
            "module user (output logic [7:0] rows_o);\n  `include \"qsim_params.svh\"\n"
            "  assign rows_o = qsim_hardware_array_rows[7:0];\nendmodule\n");
  EXPECT_TRUE(
      Run("verilator --lint-only -Wall -Wno-DECLFILENAME -Wno-MULTITOP --top-module top "
          "package.sv"));
}

TEST_F(ExportCompileTest, SvhUnderYosysHoldsTheSameBits) {
  if (!Have("yosys")) GTEST_SKIP() << "no yosys here";
  WriteText(dir() / "qsim_params.svh", ExportSvh(table_));
  WriteText(dir() / "top.sv",
            "module top (output logic signed [31:0] m_o, output logic signed [63:0] b_o,\n"
            "            output logic [63:0] s_o, output logic [7:0] r_o);\n"
            "  `include \"qsim_params.svh\"\n"
            "  assign m_o = qsim_blocks_0_residual1_a_multiplier[1*32 +: 32];\n"
            "  assign b_o = qsim_blocks_0_norm1_bias[3*64 +: 64];\n"
            "  assign s_o = qsim_blocks_0_norm1_scale_f64[0 +: 64];\n"
            "  assign r_o = qsim_blocks_0_norm1_rounding;\nendmodule\n");
  // sat -verify fails unless every output equals the number given.
  WriteText(dir() / "prove.ys",
            "read_verilog -sv top.sv\nprep -top top\n"
            "sat -verify -prove m_o 32'h80000001 -prove b_o 64'hfffffffed5fa0e00 "
            "-prove s_o 64'h3fb999999999999a -prove r_o 8'h02\n");
  EXPECT_TRUE(Run("yosys -q -s prove.ys"));
}

std::string CTest(const std::vector<Expected>& expected) {
  std::string out =
      "#include <inttypes.h>\n#include <stdio.h>\n#include <string.h>\n"
      "#include \"qsim_params.h\"\n#include \"qsim_params.h\"\n"
      "static int64_t bits_of(double value) {\n  int64_t bits;\n"
      "  memcpy(&bits, &value, sizeof bits);\n  return bits;\n}\n"
      "int main(void) {\n  printf(\"bits 0 %\" PRId64 \"\\n\", bits_of(0.0));\n";
  for (const Expected& entry : expected) {
    std::string value = entry.identifier;
    if (!entry.choice.empty()) {
      value = entry.identifier + " == " + entry.choice;
    } else if (!entry.scalar) {
      value += "[" + std::to_string(entry.index) + "]";
    }
    if (entry.real) value = "bits_of(" + value + ")";
    // A plain cast would hide nothing: the array's own type decided what it holds.
    out += "  printf(\"" + entry.identifier + " " + std::to_string(entry.index) +
           " %lld\\n\", 0LL + (" + value + "));\n";
  }
  return out + "  return 0;\n}\n";
}

TEST_F(ExportCompileTest, HeaderUnderGccAndGxxHoldsTheJsonNumbers) {
  const std::vector<Expected> expected = ExpectedNumbers(table_);
  WriteText(dir() / "qsim_params.h", ExportC(table_));
  WriteText(dir() / "print.c", CTest(expected));
  WriteText(dir() / "print.cpp",
            "extern \"C\" {\n#include \"qsim_params.h\"\n}\n" + CTest(expected));
  const std::map<std::string, std::string> compilers = {
      {"gcc", "gcc -std=c99 -Wall -Wextra -Wpedantic -Werror print.c -o print"},
      {"g++", "g++ -std=c++17 -Wall -Wextra -pedantic -Werror print.cpp -o print"},
      {"clang", "clang -std=c99 -Wall -Wextra -Wpedantic -Werror print.c -o print"}};
  int compiled = 0;
  for (const auto& [compiler, command] : compilers) {
    if (!Have(compiler)) continue;
    SCOPED_TRACE(compiler);
    ++compiled;
    ASSERT_TRUE(Run(command));
    ASSERT_TRUE(Run("./print"));
    ExpectPrinted(expected);
  }
  EXPECT_GE(compiled, 1);
}

// A layer of a large model: 3072 channels in one packed vector.
TEST_F(ExportCompileTest, WideLayersCompile) {
  Bundle bundle = testing::SampleBundle();
  for (Op& op : bundle.program.ops) {
    auto* norm = std::get_if<LayernormOp>(&op);
    if (norm == nullptr) continue;
    auto& params = std::get<IbertLayernormParams>(norm->params);
    params.bias.assign(3072, -(std::int64_t{1} << 40));
    params.scale.assign(3072, Multiplier{-12345, 17});
  }
  const ExportTable table = BuildExportTable(bundle);
  const std::string top =
      "module top (output logic signed [63:0] b_o, output logic signed [31:0] m_o);\n"
      "  `include \"qsim_params.svh\"\n"
      "  assign b_o = qsim_blocks_0_norm1_bias[3071*64 +: 64];\n"
      "  assign m_o = qsim_blocks_0_norm1_multiplier[3071*32 +: 32];\nendmodule\n";
  WriteText(dir() / "qsim_params.svh", ExportSvh(table));
  WriteText(dir() / "top.sv", top);
  if (Have("verilator")) {
    EXPECT_TRUE(Run("verilator --lint-only -Wall --top-module top top.sv"));
  }
  if (Have("yosys")) {
    WriteText(dir() / "prove.ys",
              "read_verilog -sv top.sv\nprep -top top\n"
              "sat -verify -prove b_o 64'hffffff0000000000 -prove m_o 32'hffffcfc7\n");
    EXPECT_TRUE(Run("yosys -q -s prove.ys"));
  }
}

TEST(ExportComments, CannotBeClosedFromATensorName) {
  Bundle bundle = testing::SampleBundle();
  bundle.provenance.qsim_version = "1 */ int x; /* \n`define EVIL";
  const ExportTable table = BuildExportTable(bundle);
  EXPECT_THAT(ExportC(table), ::testing::Not(::testing::HasSubstr("*/ int x;")));
  EXPECT_THAT(ExportSvh(table), ::testing::Not(::testing::HasSubstr("\n`define EVIL")));
}

}  // namespace
}  // namespace qsim::testing
