#include "sim/io/yaml/yaml_document.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "sim/io/yaml/yaml_values.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadDamagedCopies;
using testing::SeededRandom;
using ::testing::StartsWith;
using testing::TempDir;
using testing::WriteBytes;

YamlPtr Parse(const std::string& text) { return ParseYaml(text, "c.yaml"); }
std::string ErrorFor(const std::string& text) {
  return ErrorOf([&] { Parse(text); });
}

TEST(YamlDocumentTest, KeepsLinesAndOrder) {
  const YamlPtr root = Parse("# comment\nb: 1\na:\n  - x\n  - 'y'\n");
  ASSERT_EQ(root->entries.size(), 2u);
  EXPECT_EQ(root->entries[0].key, "b");
  EXPECT_EQ(root->entries[0].line, 2);
  EXPECT_EQ(root->entries[1].line, 3);
  const YamlPtr list = root->Find("a");
  ASSERT_EQ(list->items.size(), 2u);
  EXPECT_FALSE(list->items[0]->quoted);
  EXPECT_TRUE(list->items[1]->quoted);
  EXPECT_EQ(list->items[1]->line, 5);
  EXPECT_EQ(root->Find("c"), nullptr);
}

TEST(YamlDocumentTest, RejectsWhatYamlCppLetsPass) {
  EXPECT_THAT(ErrorFor("a: 1\nb:\n  c: 1\n  c: 2\n"),
              StartsWith("c.yaml:4: key 'c': appears twice"));
  EXPECT_THAT(ErrorFor("a: 1\na: 2\n"), StartsWith("c.yaml:2: key 'a': appears twice"));
  EXPECT_THAT(ErrorFor("{a: 1, a: 1}"), StartsWith("c.yaml:1: key 'a': appears twice"));
  EXPECT_THAT(ErrorFor("a: 1\n---\nb: 2\n"), StartsWith("c.yaml:3: a second document"));
  EXPECT_THAT(ErrorFor("? [1, 2]\n: 3\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorFor("a: !!python/object 1\n"), HasSubstr("tag"));
  EXPECT_THAT(ErrorFor(": 1\n"), HasSubstr("c.yaml:1"));
}

TEST(YamlDocumentTest, EmptyFilesAreAnError) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "~", "---\n...\n"}) {
    EXPECT_THAT(ErrorFor(text), HasSubstr("c.yaml: is empty")) << text;
  }
}

TEST(YamlDocumentTest, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(ErrorFor("a: 1\nb: [1, 2\nc: 3\n"), StartsWith("c.yaml:"));
  EXPECT_THAT(ErrorFor("a: 1\n\tb: 2\n"),
              StartsWith("c.yaml:2: invalid YAML: a tab in the indentation"));
  EXPECT_THAT(ErrorFor("a:\n  b: 1\n  \tc: 2\n"), StartsWith("c.yaml:3: invalid YAML: a tab"));
  EXPECT_THAT(ErrorFor("a:\n\xc2\xa0 b: 1\n"),
              StartsWith("c.yaml:2: invalid YAML: a no-break space"));
  EXPECT_THAT(ErrorFor("---\n\xef\xbb\xbf# note\na:\n  b: 1\n"),
              HasSubstr("a byte order mark inside"));
  EXPECT_THAT(ErrorFor("a: 1\nb: 'open\n"), StartsWith("c.yaml:2: invalid YAML: text without its"));
  EXPECT_THAT(ErrorFor("a: \"é\"\nb: \"open\\\"\n"),
              StartsWith("c.yaml:2: invalid YAML: text without"));
  EXPECT_EQ(ErrorFor("é: 'it''s'\nb: \"\\\"\"\n# 'comment\n"), "");
  EXPECT_THAT(ErrorFor("a: *nowhere\n"), HasSubstr("c.yaml:1: invalid YAML"));
}

// Lists of many numbers do not go through the parser; nothing may tell.
TEST(YamlDocumentTest, LongListsOfNumbersReadAsShortOnes) {
  std::string numbers;
  std::vector<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    expected.push_back(i % 3 == 0 ? fmt::format("{}", -i) : fmt::format("{}.5e-{}", i, i % 7));
    numbers += (i == 0 ? "" : ", ") + expected.back();
  }
  for (const std::string& list :
       {"[" + numbers + "]", "[" + numbers + ",]", "[ " + numbers + " ]"}) {
    const YamlPtr root = ParseYaml(
        "first: 1\nmap:\n  scale: " + list + "\n  next: [7, 8]\nlast: \"it's: [a]\"\n", "f.yaml");
    const YamlPtr scale = root->Find("map")->Find("scale");
    ASSERT_EQ(scale->kind, YamlNode::Kind::kSequence);
    EXPECT_EQ(scale->line, 3);
    std::vector<std::string> read;
    for (const YamlPtr& item : scale->items) {
      EXPECT_EQ(item->line, 3);
      read.push_back(item->scalar);
    }
    EXPECT_EQ(read, expected);
    EXPECT_EQ(root->Find("map")->Find("next")->items.size(), 2);
    EXPECT_EQ(root->Find("map")->Find("next")->line, 4);
    EXPECT_EQ(root->Find("last")->scalar, "it's: [a]");
  }
  // A line of a text is no list.
  const std::string inside = "text: \"a\n  key: [" + numbers + "]\n  b\"\n";
  EXPECT_THAT(ParseYaml(inside, "f.yaml")->Find("text")->scalar, HasSubstr(numbers));
  const std::string block = "text: |\n  key: [" + numbers + "]\n";
  EXPECT_THAT(ParseYaml(block, "f.yaml")->Find("text")->scalar, HasSubstr(numbers));
  try {
    ParseYaml("scale: [" + numbers + "]\nbad: [1\n", "f.yaml");
    FAIL() << "an open list";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("f.yaml:"));
  }
}

TEST(YamlDocumentTest, AnchorsAndMergeKeys) {
  const YamlPtr root = Parse(
      "base: &b {bits: 8, name: int8}\n"
      "more: &m {name: uint8, mode: x}\n"
      "one: *b\n"
      "two: {bits: 4, <<: *b}\n"
      "three:\n  <<: [*b, *m]\n  mode: y\n");
  EXPECT_EQ(root->Find("one")->Find("bits")->scalar, "8");
  EXPECT_EQ(root->Find("two")->Find("bits")->scalar, "4");
  EXPECT_EQ(root->Find("two")->Find("name")->scalar, "int8");
  EXPECT_EQ(root->Find("three")->Find("name")->scalar, "int8");
  EXPECT_EQ(root->Find("three")->Find("mode")->scalar, "y");
  EXPECT_EQ(root->Find("three")->entries.size(), 3u);
  EXPECT_THAT(ErrorFor("a: {<<: 7}"), HasSubstr("key '<<': expected an alias of a map"));
  EXPECT_THAT(ErrorFor("a: &a [*a]"), HasSubstr("an alias inside its own anchor"));
  EXPECT_THAT(ErrorFor("a: &a {<<: *a}"), HasSubstr("an alias inside its own anchor"));
}

TEST(YamlDocumentTest, KeysOfNobodyAreForAnchors) {
  const YamlPtr root = Parse("x-common: &c {bits: 6}\na: {<<: *c}\nb: {x-own: 1}\n");
  ASSERT_EQ(root->entries.size(), 2u);
  EXPECT_EQ(root->Find("a")->Find("bits")->scalar, "6");
  EXPECT_NE(root->Find("b")->Find("x-own"), nullptr);
  EXPECT_TRUE(Parse("base: &b {bits: 6}\n")->entries[0].value->anchored);
}

TEST(YamlDocumentTest, AQuotedNumberIsSaidToBeText) {
  EXPECT_EQ(Parse("a: \"6\"\n")->Find("a")->Describe(), "'6' in quotes, which is text; write 6");
  EXPECT_EQ(Parse("a: 'True'\n")->Find("a")->Describe(),
            "'True' in quotes, which is text; write True");
  EXPECT_EQ(Parse("a: 'six'\n")->Find("a")->Describe(), "'six'");
}

TEST(YamlDocumentTest, ManyValuesAndLongChainsAreRejected) {
  std::string chain = "a0: &a0 {k: 1}\n";
  for (int i = 1; i < 100; ++i) chain += fmt::format("a{0}: &a{0} {{k: *a{1}}}\n", i, i - 1);
  EXPECT_THAT(ErrorFor(chain), HasSubstr("c.yaml:65: aliases of aliases nested deeper than 64"));
  std::string ones = "- [1";
  for (int i = 0; i < 500'000; ++i) ones += ",1";
  EXPECT_THAT(ErrorFor(ones + "]\n"), HasSubstr("more than 500000 values; --limits N raises"));
}

TEST(YamlDocumentTest, BombsAreRejected) {
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += open;
    EXPECT_THAT(ErrorFor(text), HasSubstr("c.yaml:1")) << open;
  }
  // A billion laughs: shared nodes, so harmless.
  std::string laughs = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 50; ++i) laughs += fmt::format("a{0}: &a{0} [*a{1}, *a{1}]\n", i, i - 1);
  EXPECT_EQ(ErrorFor(laughs), "");
  // Merges that multiply.
  std::string merges = "m0: &m0 {";
  for (int i = 0; i < 1000; ++i) merges += fmt::format("k{}: 1, ", i);
  merges += "}\n";
  for (int i = 1; i < 2000; ++i) merges += fmt::format("m{}: {{<<: *m0}}\n", i);
  EXPECT_THAT(ErrorFor(merges), HasSubstr("too many merged keys"));
}

TEST(YamlDocumentTest, HugeFilesAreRejectedUnread) {
  const TempDir dir;
  const auto path = dir.path() / "huge.yaml";
  WriteBytes(path, "a: 1\n");
  std::filesystem::resize_file(path, std::uint64_t{1} << 40);  // sparse
  EXPECT_THAT(ErrorOf([&] { LoadYaml(path); }),
              HasSubstr("huge.yaml: 1099511627776 bytes are too many"));
}

TEST(YamlDocumentTest, EveryDamagedCopyLoadsOrIsRejected) {
  const TempDir dir;
  const auto path = dir.path() / "d.yaml";
  const std::string text =
      "attn_qkv: &q\n  weight:\n    bit_type: {bits: 8, name: 'int8'}\nb: [1, \"x\"]\nc: {<<: "
      "*q}\n";
  const auto count = LoadDamagedCopies(path, text, [&] { LoadYaml(path); });
  EXPECT_GT(count.loaded, text.size());
  EXPECT_GT(count.rejected, text.size());
}

TEST(YamlDocumentTest, RandomTextLoadsOrIsRejected) {
  SeededRandom random;
  const std::string alphabet = "ab:-?[]{},&*!|>'\"%@`#<~ \n\n\t0\\\x80\xff";
  int loaded = 0;
  int rejected = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::int64_t i = random.Between(0, 40); i > 0; --i) {
      text += alphabet[static_cast<std::size_t>(
          random.Between(0, static_cast<std::int64_t>(alphabet.size()) - 1))];
    }
    (ErrorFor(text).empty() ? loaded : rejected)++;
  }
  EXPECT_GT(loaded, 500);
  EXPECT_GT(rejected, 500);
}

TEST(YamlValuesTest, ReadsNoMoreThanItSays) {
  const auto value = [](const std::string& text) { return Parse("v: " + text)->Find("v"); };
  EXPECT_EQ(AsInteger(*value("8")), 8);
  EXPECT_EQ(AsInteger(*value("+8")), 8);
  EXPECT_EQ(AsInteger(*value("-8")), -8);
  EXPECT_EQ(AsInteger(*value("9223372036854775807")), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"9223372036854775808", "8.0", "'8'", "0x8", "010", "8 8", "True", "",
                           "[8]", "--8", "+-8", "1e3"}) {
    EXPECT_EQ(AsInteger(*value(text)), std::nullopt) << text;
  }
  EXPECT_EQ(AsReal(*value("1e-6")), 1e-6);
  EXPECT_EQ(AsReal(*value("1")), 1.0);
  EXPECT_EQ(AsReal(*value("0.9995")), 0.9995);
  for (const char* text :
       {"'1'", ".inf", ".nan", "inf", "nan", "1e999", "0.5x", "010", "0x10", "", "{}"}) {
    EXPECT_EQ(AsReal(*value(text)), std::nullopt) << text;
  }
  EXPECT_EQ(AsBoolean(*value("True")), true);
  EXPECT_EQ(AsBoolean(*value("false")), false);
  for (const char* text : {"yes", "no", "on", "TRUE", "1", "0", "'True'", ""}) {
    EXPECT_EQ(AsBoolean(*value(text)), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace qsim::testing
