// The export table and the formats that a test can read without a compiler; export_compile_test has
// the rest.
#include "sim/bundle/parameter_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "sim/error.h"
#include "sim/export/export_formats.h"
#include "sim/io/tensors/memh.h"
#include "tests/report/sample_bundle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

Json Parsed() { return Json::parse(ExportJson(BuildExportTable(testing::SampleBundle()))); }

const Json& Operation(const Json& json, const std::string& name) {
  for (const Json& op : json["operations"])
    if (op["name"] == name) return op;
  throw std::runtime_error("no operation " + name);
}

TEST(ExportJson, SampleBundleIsValid) {
  EXPECT_NO_THROW(Validate(testing::SampleBundle().program));
}

TEST(ExportJson, HoldsEveryOperationAndTheirKinds) {
  const Bundle bundle = testing::SampleBundle();
  const Json json = Parsed();
  ASSERT_EQ(json["operations"].size(), bundle.program.ops.size());
  std::set<std::string> kinds;
  for (std::size_t i = 0; i < bundle.program.ops.size(); ++i) {
    EXPECT_EQ(json["operations"][i]["name"], OutputOf(bundle.program.ops[i]));
    EXPECT_EQ(json["operations"][i]["kind"], KindName(bundle.program.ops[i]));
    kinds.insert(json["operations"][i]["kind"]);
  }
  EXPECT_GE(kinds.size(), 10U);  // every single one: every_operation_test
  EXPECT_EQ(json["hardware"]["array_cols"], 16);
  EXPECT_EQ(json["provenance"]["contract_sha256"], std::string(64, '3'));
  EXPECT_EQ(json["format_version"], 1);
}

// Each number against the program itself, not against the table.
TEST(ExportJson, NumbersAreThoseOfTheProgram) {
  const Json json = Parsed();
  const Json& norm = Operation(json, "blocks.0.norm1");
  EXPECT_EQ(norm["bias"],
            (std::vector<std::int64_t>{1LL << 46, -(1LL << 46), 5000000000, -5000000000, 0, -1}));
  EXPECT_EQ(norm["multiplier"], (std::vector<int>{32767, -32768, -1, 1, INT32_MAX, -INT32_MAX}));
  EXPECT_EQ(norm["shift"], (std::vector<int>{40, 41, 0, 62, 31, 62}));
  EXPECT_EQ(norm["input_shift"], (std::vector<int>{0, 1, 2, 3, 4, 8}));
  EXPECT_EQ(norm["std_shift"], 5);
  EXPECT_EQ(norm["input_zero"], -7);
  EXPECT_EQ(norm["rounding"], "half_even");
  EXPECT_EQ(norm["clamp_min"], -128);
  EXPECT_EQ(norm["per"]["bias"], "channel");
  const Json& qkv = Operation(json, "blocks.0.attn_qkv");
  EXPECT_EQ(qkv["bias"][17], -1700017);
  EXPECT_EQ(qkv["acc_bits"], 32);
  EXPECT_EQ(qkv["acc_policy"], "error");
  EXPECT_GE(qkv["acc_bits_needed"], 16);
  EXPECT_EQ(qkv["weight_zero"][17], -128);
  const Json& scores = Operation(json, "blocks.0.attn_kv_out");
  EXPECT_EQ(scores["per"]["multiplier"], "head");
  EXPECT_EQ(scores["rounding"], "toward_zero");
  const Json& softmax = Operation(json, "blocks.0.intSoft");
  EXPECT_EQ(softmax["algorithm"], "ibert_rn");
  EXPECT_EQ(softmax["c"], (std::vector<std::int64_t>{6980, 4294967295}));
  EXPECT_EQ(softmax["x0"], (std::vector<int>{-35, -1048576}));
  EXPECT_EQ(softmax["n"], (std::vector<int>{30, 30}));
  EXPECT_EQ(softmax["act16_multiplier"], (std::vector<std::int64_t>{2147483647, 2147483647}));
  EXPECT_EQ(softmax["extra_bits"], (std::vector<int>{3, 3}));
  const Json& product = Operation(json, "blocks.1.attn_v_acc");
  EXPECT_EQ(product["mode"], "shift");
  EXPECT_EQ(product["acc_policy"], "wrap");
  EXPECT_EQ(product["per"]["rhs_zero"], "channel");
  EXPECT_EQ(product["per"]["lhs_zero"], "tensor");
  const Json& residual = Operation(json, "blocks.0.residual1");
  EXPECT_EQ(residual["a_multiplier"][1], -INT32_MAX);
  EXPECT_EQ(residual["b_multiplier"], std::vector<int>{77});
  EXPECT_EQ(residual["shift"], 62);
  EXPECT_EQ(Operation(json, "patches")["patch"], 2);
  EXPECT_FALSE(Operation(json, "patch_embed").contains("rows"));
  EXPECT_EQ(Operation(json, "logits")["rows"], 1);
  const Json& embed = Operation(json, "embed");
  EXPECT_EQ(embed["a_multiplier"], (std::vector<int>{1, -2, 3, -4, INT32_MAX, -INT32_MAX}));
  EXPECT_EQ(embed["per"]["a_multiplier"], "channel");
  EXPECT_EQ(embed["b_multiplier"], -INT32_MAX);
  EXPECT_EQ(embed["shift"], 62);
  EXPECT_EQ(embed["zero"], -65536);
  EXPECT_EQ(embed["position"], "embed.position");
  EXPECT_EQ(embed["clamp_min"], -32768);
  const Json& gelu = Operation(json, "mlp_gelu");
  EXPECT_EQ(gelu["algorithm"], "table");
  EXPECT_EQ(gelu["table_first_code"], -100);
  EXPECT_EQ(gelu["table"].size(), 201u);
  EXPECT_EQ(gelu["table"][200], 127);
  EXPECT_EQ(gelu["per"]["table"], "code");
  EXPECT_FALSE(gelu.contains("b"));
  const Json& ibert = Operation(json, "mlp_gelu.ibert");
  EXPECT_EQ(ibert["algorithm"], "ibert");
  EXPECT_EQ(ibert["b"], -65536);
  EXPECT_EQ(ibert["c"], -8589934592);
  EXPECT_EQ(ibert["shift_int"], -8589934591);
  EXPECT_EQ(ibert["n"], 14);
  EXPECT_EQ(ibert["multiplier"], std::vector<int>{-20000});
  EXPECT_EQ(ibert["shift"], std::vector<int>{50});
  EXPECT_EQ(ibert["zero"], 7);
  EXPECT_EQ(ibert["input_zero"], -3);
  std::map<std::string, Json> tensors;
  for (const Json& tensor : json["tensors"]) tensors[tensor["name"]] = tensor;
  EXPECT_EQ(tensors.at("blocks.0.norm1")["scale"],
            (std::vector<double>{0.1, 1e-05, 1.0 / 3, 2, 1e-300, 12345678.9}));
  EXPECT_EQ(tensors.at("blocks.0.norm1")["zero_point"], (std::vector<int>{0, 1, -2, 3, -4, 5}));
  EXPECT_EQ(tensors.at("blocks.1.intSoft")["scale_kind"], "log2");
  EXPECT_EQ(tensors.at("blocks.0.attn_qkv.weight")["per"]["scale"], "channel");
  EXPECT_EQ(tensors.at("blocks.0.attn_qkv.weight")["scale"][2], 0.2);
  EXPECT_EQ(tensors.at("blocks.0.attn_qkv.weight")["shape"], (std::vector<int>{18, 6}));
}

// Both directions: every node of one exists in the other.
void ExpectSame(const YAML::Node& yaml, const Json& json, const std::string& where) {
  SCOPED_TRACE(where);
  if (json.is_object()) {
    ASSERT_TRUE(yaml.IsMap());
    ASSERT_EQ(yaml.size(), json.size());
    for (const auto& item : json.items())
      ExpectSame(yaml[item.key()], item.value(), where + "." + item.key());
  } else if (json.is_array()) {
    ASSERT_TRUE(yaml.IsSequence());
    ASSERT_EQ(yaml.size(), json.size());
    for (std::size_t i = 0; i < json.size(); ++i)
      ExpectSame(yaml[i], json[i], where + "[" + std::to_string(i) + "]");
  } else if (json.is_number_float()) {
    EXPECT_EQ(yaml.as<double>(), json.get<double>());
  } else if (json.is_number()) {
    EXPECT_EQ(yaml.as<std::int64_t>(), json.get<std::int64_t>());
  } else {
    EXPECT_EQ(yaml.as<std::string>(), json.get<std::string>());
  }
}

TEST(ExportYaml, IsTheSameTreeAsJson) {
  YAML::Node yaml = YAML::Load(ExportYaml(BuildExportTable(testing::SampleBundle())));
  Json json = Parsed();
  // Each carries the hash of its own bytes.
  EXPECT_NE(yaml["content_sha256"].as<std::string>(), json["content_sha256"]);
  json["content_sha256"] = yaml["content_sha256"].as<std::string>();
  ExpectSame(yaml, json, "root");
}

TEST(ExportCsv, HoldsTheSameNumbersAsJson) {
  const Json json = Parsed();
  std::map<std::string, std::string> rows;  // "operation|kind|parameter|channel" -> value
  std::istringstream stream(ExportCsv(BuildExportTable(testing::SampleBundle())));
  std::string line;
  std::getline(stream, line);
  EXPECT_EQ(line, "operation,kind,parameter,per,channel,value");
  while (std::getline(stream, line)) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
      if (c == ',') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    ASSERT_EQ(fields.size(), 6u) << line;
    const std::string key = fields[0] + "|" + fields[1] + "|" + fields[2] + "|" + fields[4];
    EXPECT_TRUE(rows.emplace(key, fields[5]).second) << key;
  }
  const auto take = [&](const std::string& key) {
    const auto at = rows.find(key);
    const std::string value = at == rows.end() ? "(absent)" : at->second;
    if (at != rows.end()) rows.erase(at);
    return value;
  };
  const auto expect = [&](const std::string& key, const Json& value) {
    if (value.is_number_float()) {
      EXPECT_EQ(std::stod(take(key)), value.get<double>()) << key;
    } else {
      EXPECT_EQ(take(key), value.is_string() ? value.get<std::string>() : value.dump()) << key;
    }
  };
  const auto expect_group = [&](const Json& group, const std::string& name,
                                const std::string& kind) {
    for (const auto& item : group.items()) {
      if (item.key() == "name" || item.key() == "kind" || item.key() == "per") continue;
      const std::string key = name + "|" + kind + "|" + item.key() + "|";
      if (!item.value().is_array()) {
        expect(key, item.value());
        continue;
      }
      for (std::size_t i = 0; i < item.value().size(); ++i)
        expect(key + std::to_string(i), item.value()[i]);
    }
  };
  expect_group(json["hardware"], "hardware", "hardware");
  expect_group(json["provenance"], "provenance", "provenance");
  for (const char* list : {"operations", "tensors"})
    for (const Json& group : json[list]) expect_group(group, group["name"], group["kind"]);
  expect("qsim-export|format|format_version|", json["format_version"]);
  EXPECT_NE(rows["qsim-export|format|content_sha256|"], json["content_sha256"]);  // each its own
  rows.erase("qsim-export|format|content_sha256|");
  EXPECT_TRUE(rows.empty()) << rows.begin()->first << " is not in the JSON";
}

TEST(ExportMemh, HoldsTheSameNumbersAsJsonAndEveryConstant) {
  const Bundle bundle = testing::SampleBundle();
  testing::TempDir temp;
  const std::filesystem::path out = temp.path() / "memh";
  OutputDirectory output(out);
  ExportMemh(BuildExportTable(bundle), bundle, output);
  const Json json = Parsed();
  int compared = 0;
  for (const Json& op : json["operations"]) {
    for (const auto& item : op.items()) {
      const Json values = item.value().is_number() ? Json::array({item.value()}) : item.value();
      if (!values.is_array()) continue;
      const std::string name = op["name"].get<std::string>() + "." + item.key();
      const Memh memh = ReadMemh(out / "parameters" / (name + ".memh"));
      EXPECT_EQ(memh.name, name);
      ASSERT_EQ(memh.tensor.size(), static_cast<std::int64_t>(values.size())) << name;
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(memh.tensor.At(static_cast<std::int64_t>(i)), values[i].get<std::int64_t>())
            << name << " " << i;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 200);
  EXPECT_EQ(ReadMemh(out / "parameters" / "blocks.0.norm1.rounding.memh").tensor.At(0), 2);
  for (const auto& [name, tensor] : bundle.program.constants)
    EXPECT_EQ(ReadMemh(out / "constants" / (name + ".memh")).tensor, tensor) << name;
}

TEST(ExportTable, RefusesWhatItCannotName) {
  Bundle collision = testing::SampleBundle();
  TensorInfo twin = collision.program.tensors.front();
  twin.name = "blocks_0.input";
  collision.program.tensors.push_back(twin);
  try {
    BuildExportTable(collision);
    FAIL() << "a collision passed";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("blocks.0.input"));
    EXPECT_THAT(error.what(), HasSubstr("qsim_blocks_0_input"));
  }
  Bundle infinite = testing::SampleBundle();
  infinite.scales["blocks.0.norm1"].scale[0] = 1 / 0.0;
  EXPECT_THROW(BuildExportTable(infinite), InputError);
}

TEST(ExportMemh, NamesCannotLeaveTheDirectory) {
  Bundle bundle = testing::SampleBundle();
  bundle.program.constants["../escape"] = IntTensor(DType::kInt8, {1});
  testing::TempDir temp;
  {
    OutputDirectory output(temp.path() / "out" / "memh");
    EXPECT_THROW(ExportMemh(BuildExportTable(bundle), bundle, output), InputError);
  }
  EXPECT_TRUE(std::filesystem::is_empty(temp.path()));
}

TEST(RealText, ReadsBackAndAlwaysHasAPoint) {
  EXPECT_EQ(RealText(1), "1.0");
  EXPECT_EQ(RealText(1e-5), "1.0e-05");
  EXPECT_EQ(RealText(0.1), "0.1");
  EXPECT_EQ(RealText(1e300), "1.0e+300");
  for (const double value : {1.0 / 3, 2.2250738585072014e-308, 1.7976931348623157e308})
    EXPECT_EQ(std::stod(RealText(value)), value);
}

}  // namespace
}  // namespace qsim::testing
