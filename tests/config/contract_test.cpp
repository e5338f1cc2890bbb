// Numerics contracts: the shipped ones, files, what a configuration amounts to, and differences.
#include "sim/config/contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sim/config/config.h"
#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::filesystem::path Write(const testing::TempDir& dir, const std::string& text) {
  const std::filesystem::path path = dir.path() / "contract.yaml";
  std::ofstream(path) << text;
  return path;
}

std::string ErrorOf(const std::filesystem::path& path) {
  try {
    LoadContract(path.string());
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

Config With(std::initializer_list<const char*> settings) {
  Config config = Config::Defaults();
  for (const char* setting : settings) config.Set(setting);
  return config;
}

TEST(Contract, TheShippedOnesLoadAndDifferInArithmetic) {
  EXPECT_THAT(BuiltinContracts(),
              ElementsAre("deeploy", "default", "fqvit", "ibert", "ita", "ivit", "power-of-two",
                          "tflite-double", "tflite-single", "tosa"));
  std::set<std::string> hashes;
  for (const std::string& name : BuiltinContracts()) {
    const NumericsContract contract = LoadContract(name);
    EXPECT_EQ(contract.name, name);
    // Version 2 adds eps to layer norms; publications that ignore it stayed what they were.
    EXPECT_EQ(contract.version, contract.numerics.layernorm_eps == LayernormEps::kAdd ? 2 : 1);
    EXPECT_EQ(contract.Hash().size(), 64U);
    hashes.insert(contract.Hash());
  }
  EXPECT_EQ(hashes.size(), BuiltinContracts().size());
}

TEST(Contract, ChoosesHowRealNumbersBecomeIntegers) {
  const ModelContracts contracts = With({"numerics.quantize=half_away_then_zero"}).Contracts();
  EXPECT_EQ(contracts.model.numerics.quantize, QuantizeRule::kHalfAwayThenZero);
  EXPECT_NE(contracts.model.Hash(), LoadContract("default").Hash());
  const testing::TempDir dir;
  const ModelContracts read = ReadContractsYaml(Write(dir, ContractsYaml(contracts)));
  EXPECT_EQ(read.model.numerics.quantize, QuantizeRule::kHalfAwayThenZero);
  const auto differences = CompareContracts(With({}).Contracts(), contracts);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].a, "zero_then_half_even");
  EXPECT_EQ(differences[0].b, "half_away_then_zero");
}

// A hash names arithmetic: when it changes, so has the meaning of every file that carries it.
TEST(Contract, TheDefaultsHashIsPinned) {
  EXPECT_EQ(LoadContract("default").Choices(),
            "requantize: half_up\nresidual_add: half_up\nsoftmax: ibert_rn\nlayernorm: ibert\n"
            "gelu: table\nlayernorm_eps: add\nscales: multiplier\n");
  EXPECT_EQ(Config::Defaults().Contracts().Hash(), LoadContract("default").Hash());
}

// What every file meant before there was a choice, and its hash.
TEST(Contract, AFileThatDoesNotSayIgnoresEps) {
  const testing::TempDir dir;
  const std::string text =
      "contract: mine\nversion: 1\nsource: me\noperations:\n  requantize: half_up\n"
      "  residual_add: half_up\n  softmax: ibert_rn\n  layernorm: ibert\n  gelu: table\n";
  const std::filesystem::path path = Write(dir, text);
  EXPECT_EQ(LoadContract(path.string()).numerics.layernorm_eps, LayernormEps::kIgnore);
  // Of the default contract when its version was 1.
  EXPECT_EQ(LoadContract(path.string()).Hash(),
            "752ae8eb71ce6219412ab0e05a86bd54a2b8b44fb9872b5824f07f81d37167cc");
  EXPECT_EQ(LoadContract(path.string()).Hash(),
            With({"numerics.layernorm_eps=ignore"}).Contracts().Hash());
  EXPECT_NE(LoadContract(path.string()).Hash(), LoadContract("default").Hash());
  for (const char* name : {"ibert", "ivit", "deeploy", "fqvit"}) {
    const std::string setting = std::string("numerics.contract=") + name;
    EXPECT_EQ(With({setting.c_str()}).NumericsFor(0).layernorm_eps, LayernormEps::kIgnore) << name;
  }
  EXPECT_EQ(Config::Defaults().NumericsFor(0).layernorm_eps, LayernormEps::kAdd);
}

TEST(Contract, WhatTheSourceDoesNotDefineIsMarked) {
  EXPECT_THAT(LoadContract("tosa").defaulted,
              ElementsAre("residual_add", "softmax", "layernorm", "layernorm_eps", "gelu"));
  EXPECT_THAT(LoadContract("default").defaulted, ElementsAre());
}

TEST(Contract, AConfigurationTakesEveryChoice) {
  const Config config = With({"numerics.rounding=floor", "numerics.contract=deeploy"});
  const Numerics numerics = config.NumericsFor(0);
  EXPECT_EQ(numerics.requantize.scheme, RequantScheme::kRequantShift);
  EXPECT_EQ(numerics.residual_add, Rounding::kHalfUp);
  EXPECT_EQ(numerics.softmax, SoftmaxKind::kIta);
  EXPECT_EQ(numerics.layernorm, LayernormKind::kDeeploy);
  EXPECT_EQ(numerics.gelu, GeluKind::kDeeploy);
  EXPECT_EQ(config.Contracts().Label(), "deeploy 1");
  EXPECT_EQ(With({"numerics.contract=power-of-two"}).HardwareFor(0).requant,
            RequantMode::kPowerOfTwo);
}

TEST(Contract, LaterKeysChangeSingleChoices) {
  const ModelContracts contracts =
      With({"numerics.contract=tflite-double", "numerics.softmax=ibert"}).Contracts();
  EXPECT_EQ(contracts.model.name, "custom");
  EXPECT_EQ(contracts.model.source, "tflite-double with softmax ibert");
  EXPECT_THAT(contracts.model.defaulted,
              ElementsAre("residual_add", "layernorm", "layernorm_eps", "gelu"));
}

// The order of keys within one map does not matter: a contract is read first.
TEST(Contract, KeysBesideItInAFileChangeSingleChoicesInAnyOrder) {
  const testing::TempDir dir;
  for (const char* text : {"numerics: {softmax: ibert, contract: tosa}\n",
                           "numerics: {contract: tosa, softmax: ibert}\n"}) {
    const Numerics numerics = Config::Load({Write(dir, text)}).NumericsFor(0);
    EXPECT_EQ(numerics.softmax, SoftmaxKind::kIbert) << text;
    EXPECT_EQ(numerics.requantize.scheme, RequantScheme::kTosaScale32) << text;
  }
}

TEST(Contract, ABlockMayHaveItsOwn) {
  const ModelContracts a =
      With({"numerics.contract=tosa", "blocks.2.numerics.contract=ivit"}).Contracts();
  EXPECT_EQ(a.Label(), "tosa 2 (block 2: ivit 1)");
  const auto differences = CompareContracts(a, Config::Defaults().Contracts());
  std::vector<std::string> fields;
  for (const ContractDifference& d : differences) fields.push_back(d.field);
  EXPECT_THAT(fields,
              ElementsAre("requantize", "blocks.2.gelu", "blocks.2.layernorm",
                          "blocks.2.layernorm_eps", "blocks.2.requantize", "blocks.2.softmax"));
  EXPECT_EQ(differences[0].a, "tosa_scale32");
  EXPECT_EQ(differences[0].b, "half_up");
  EXPECT_NE(a.Hash(), With({"numerics.contract=tosa"}).Contracts().Hash());
}

TEST(Contract, WrittenFilesReadBack) {
  const testing::TempDir dir;
  const ModelContracts written =
      With({"numerics.contract=ita", "blocks.1.numerics.softmax=tflite"}).Contracts();
  const ModelContracts read = ReadContractsYaml(Write(dir, ContractsYaml(written)));
  EXPECT_EQ(read.Label(), written.Label());
  EXPECT_EQ(read.Hash(), written.Hash());
  EXPECT_THAT(read.model.defaulted, ElementsAre("residual_add", "layernorm", "layernorm_eps"));
  EXPECT_THAT(ErrorOf(dir.path() / "contract.yaml"),
              HasSubstr("choices of its own for some blocks"));
  const std::string plain = ContractsYaml(With({"numerics.contract=ita"}).Contracts());
  EXPECT_EQ(LoadContract(Write(dir, plain).string()).Hash(), LoadContract("ita").Hash());
}

// Names are free text: what YAML would read otherwise is quoted.
TEST(Contract, AnyNameReadsBack) {
  const testing::TempDir dir;
  ModelContracts contracts;
  contracts.model.name = "it's: a \"chip\" #3 \\";
  contracts.model.source = "[May]";
  const ModelContracts read = ReadContractsYaml(Write(dir, ContractsYaml(contracts)));
  EXPECT_EQ(read.model.name, contracts.model.name);
  EXPECT_EQ(read.model.source, contracts.model.source);
}

TEST(Contract, MistakesInAFileAreNamed) {
  const testing::TempDir dir;
  const auto error = [&](const std::string& text) { return ErrorOf(Write(dir, text)); };
  const std::string head = "contract: mine\nversion: 1\nsource: me\n";
  const std::string operations =
      "operations:\n  requantize: half_up\n  residual_add: half_up\n  softmax: ibert\n"
      "  layernorm: ibert\n";
  EXPECT_THAT(error(head + operations), HasSubstr("contract.yaml:5: key 'gelu': is missing"));
  EXPECT_THAT(error(head + operations + "  gelu: tabel\n"), HasSubstr("did you mean 'table'?"));
  EXPECT_THAT(error(head + operations + "  gelu: table\n  foo: 1\n"),
              HasSubstr("key 'operations.foo': unknown key"));
  EXPECT_THAT(error("contract: mine\nversion: zero\n"), HasSubstr("expected a positive integer"));
  EXPECT_THAT(error(head + "sha256: \"00\"\n" + operations + "  gelu: table\n"),
              HasSubstr("does not belong to these operations"));
  EXPECT_THAT(error("- a\n"), HasSubstr("expected a map"));
}

}  // namespace
}  // namespace qsim::testing
