#include "sim/config/contract.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "golden/ops/chunked_recurrence.h"
#include "sim/config/builtin_contracts.h"
#include "sim/config/setting_names.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::config {
namespace {

// Of docs/numerics.md: a change of meaning there makes every contract another one.
constexpr int kNumericsVersion = 1;
constexpr std::string_view kDefault = "default";

class ContractReader {
 public:
  ContractReader(YamlPtr root, std::string file) : root_(std::move(root)), file_(std::move(file)) {}

  ModelContracts Read() {
    CheckKeys(
        *root_, "",
        {"contract", "version", "source", "sha256", "scales", "defaulted", "operations", "blocks"});
    ModelContracts contracts;
    contracts.model = ReadOne();
    if (const YamlPtr blocks = root_->Find("blocks")) {
      if (blocks->kind != YamlNode::Kind::kMap) Fail(blocks->line, "blocks", "expected a map");
      for (const YamlEntry& entry : blocks->entries) {
        const auto number = ParseIndex(entry.key);
        if (!number || *number > 1000000) {
          Fail(entry.line, "blocks." + entry.key, "expected a block number");
        }
        ContractReader block(entry.value, file_);
        contracts.blocks.emplace(*number, block.ReadOne());
      }
    }
    return contracts;
  }

 private:
  NumericsContract ReadOne() {
    contract_.name = Text(*root_, "contract");
    const YamlPtr version = Required(*root_, "version");
    const auto number = AsInteger(*version);
    if (!number || *number < 1 || *number > 1000000) {
      Fail(version->line, "version", "expected a positive integer, got " + version->Describe());
    }
    contract_.version = static_cast<int>(*number);
    contract_.source = Text(*root_, "source");
    if (root_->Find("scales") != nullptr) {
      contract_.scales = Choice<RequantMode>(*root_, "scales");
    }
    const YamlPtr operations = Required(*root_, "operations");
    CheckKeys(*operations, "operations.",
              {"quantize", "requantize", "residual_add", "softmax", "softmax_division", "layernorm",
               "layernorm_eps", "gelu", "recurrence", "recurrence_chunk", "last_steps"});
    ReadRequantize(*operations);
    if (operations->Find("last_steps") != nullptr) {
      contract_.numerics.requantize.rounding = Choice<Rounding>(*operations, "last_steps");
    }
    Numerics& n = contract_.numerics;
    if (operations->Find("softmax_division") != nullptr)
      n.softmax_division = Choice<SoftmaxDivision>(*operations, "softmax_division");
    if (operations->Find("quantize") != nullptr)
      n.quantize = Choice<QuantizeRule>(*operations, "quantize");
    if (operations->Find("recurrence") != nullptr)
      n.recurrence = Choice<Rounding>(*operations, "recurrence");
    if (const YamlPtr chunk = operations->Find("recurrence_chunk")) {
      const auto rows = AsInteger(*chunk);
      if (!rows || *rows < 1 || *rows > golden::kMaxChunk) {
        Fail(chunk->line, "recurrence_chunk",
             "expected a number of rows, 1.." + std::to_string(golden::kMaxChunk) + ", got " +
                 chunk->Describe());
      }
      n.recurrence_chunk = static_cast<int>(*rows);
    }
    ReadOperation(*operations, "residual_add", n.residual_add);
    ReadOperation(*operations, "softmax", n.softmax);
    ReadOperation(*operations, "layernorm", n.layernorm);
    // Files are older than the choice, or of publications that ignore it.
    if (operations->Find("layernorm_eps") == nullptr) {
      n.layernorm_eps = LayernormEps::kIgnore;
    } else {
      ReadOperation(*operations, "layernorm_eps", n.layernorm_eps);
    }
    ReadOperation(*operations, "gelu", n.gelu);
    ReadDefaulted();
    CheckHash();
    return std::move(contract_);
  }

  // Written files state the choice itself, and beside it that it is the default.
  void ReadDefaulted() {
    const YamlPtr list = root_->Find("defaulted");
    if (list == nullptr) return;
    if (list->kind != YamlNode::Kind::kSequence) Fail(list->line, "defaulted", "expected a list");
    for (const YamlPtr& item : list->items) {
      const auto text = AsText(*item);
      if (!text) Fail(item->line, "defaulted", "expected an operation, got " + item->Describe());
      contract_.defaulted.push_back(*text);
    }
  }

  void CheckHash() const {
    if (root_->Find("sha256") == nullptr) return;
    const std::string text = Text(*root_, "sha256");
    if (text != contract_.Hash()) {
      Fail(Required(*root_, "sha256")->line, "sha256",
           "does not belong to these operations; they hash to " + contract_.Hash());
    }
  }

  [[noreturn]] void Fail(int line, const std::string& key, const std::string& what) const {
    throw InputError(fmt::format("{}:{}: key '{}': {}", file_, line, Printable(key), what));
  }

  void CheckKeys(const YamlNode& node, const std::string& prefix,
                 const std::vector<std::string>& keys) const {
    if (node.kind != YamlNode::Kind::kMap) {
      throw InputError(fmt::format("{}:{}: expected a map of {}, got {}", file_, node.line,
                                   SomeOf(keys), node.Describe()));
    }
    for (const YamlEntry& entry : node.entries) {
      if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) {
        Fail(entry.line, prefix + entry.key, "unknown key; " + SuggestWord(entry.key, keys));
      }
    }
  }

  YamlPtr Required(const YamlNode& node, const std::string& key) const {
    if (YamlPtr value = node.Find(key)) return value;
    Fail(node.line, key, "is missing");
  }

  std::string Text(const YamlNode& node, const std::string& key) const {
    const YamlPtr value = Required(node, key);
    const auto text = AsText(*value);
    if (!text || text->empty()) Fail(value->line, key, "expected text, got " + value->Describe());
    return *text;
  }

  template <typename T>
  T Choice(const YamlNode& node, const std::string& key) const {
    const std::string text = Text(node, key);
    const auto value = FromName<T>(text);
    if (value && InPrograms(*value)) return *value;
    Fail(Required(node, key)->line, key,
         fmt::format("unknown choice '{}'; {}", Printable(text),
                     SuggestWord(text, SettingNames<T>())));
  }

  // "default" leaves the default in place and marks the operation.
  template <typename T>
  void ReadOperation(const YamlNode& node, const std::string& key, T& slot) {
    if (TakesDefault(node, key)) return;
    slot = Choice<T>(node, key);
  }

  bool TakesDefault(const YamlNode& node, const std::string& key) {
    if (Text(node, key) != kDefault) return false;
    contract_.defaulted.push_back(key);
    return true;
  }

  // A rounding of the default scheme, or a published scheme.
  void ReadRequantize(const YamlNode& node) {
    const std::string key = "requantize";
    if (TakesDefault(node, key)) return;
    const std::string text = Text(node, key);
    const auto rule = RequantRuleFromName(text);
    if (!rule) {
      Fail(Required(node, key)->line, key,
           fmt::format("unknown choice '{}'; {}", Printable(text),
                       SuggestWord(text, RequantRuleNames())));
    }
    contract_.numerics.requantize = *rule;
  }

  YamlPtr root_;
  std::string file_;
  NumericsContract contract_;
};

}  // namespace

std::vector<NumericsContract::Choice> NumericsContract::Operations() const {
  // A published requantize scheme leaves a rounding of its own to what it does not cover.
  const bool plain = numerics.requantize.scheme == RequantScheme::kRoundShift;
  std::vector<Choice> choices = {
      {"requantize", std::string(Name(numerics.requantize))},
      {"residual_add", std::string(Name(numerics.residual_add))},
      {"softmax", std::string(Name(numerics.softmax))},
      {"layernorm", std::string(Name(numerics.layernorm))},
      {"gelu", std::string(Name(numerics.gelu))},
  };
  if (numerics.softmax_division != SoftmaxDivision::kBefore)
    choices.push_back({"softmax_division", std::string(Name(numerics.softmax_division))});
  if (numerics.layernorm_eps != LayernormEps::kIgnore)
    choices.push_back({"layernorm_eps", std::string(Name(numerics.layernorm_eps))});
  if (numerics.quantize != QuantizeRule::kZeroThenHalfEven)
    choices.push_back({"quantize", std::string(Name(numerics.quantize))});
  if (numerics.recurrence != Rounding::kHalfUp)
    choices.push_back({"recurrence", std::string(Name(numerics.recurrence))});
  if (numerics.recurrence_chunk != 0)
    choices.push_back({"recurrence_chunk", std::to_string(numerics.recurrence_chunk)});
  if (!plain && numerics.requantize.rounding != Rounding::kHalfUp) {
    choices.push_back({"last_steps", std::string(Name(numerics.requantize.rounding))});
  }
  return choices;
}

std::string NumericsContract::Choices() const {
  std::string text;
  for (const Choice& choice : Operations()) {
    text += fmt::format("{}: {}\n", choice.operation, choice.scheme);
  }
  return text + fmt::format("scales: {}\n", Name(scales));
}

std::string NumericsContract::Hash() const {
  return Sha256Hex(fmt::format("qsim numerics {}\n{}", kNumericsVersion, Choices()));
}

const std::vector<std::string>& BuiltinContracts() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const BuiltinContract& contract : kBuiltinContracts) all.emplace_back(contract.name);
    std::sort(all.begin(), all.end());
    return all;
  }();
  return names;
}

NumericsContract LoadContract(std::string_view name_or_path) {
  if (name_or_path.find('/') != std::string_view::npos || name_or_path.ends_with(".yaml")) {
    ModelContracts contracts = ReadContractsYaml(name_or_path);
    if (!contracts.blocks.empty()) {
      throw InputError(fmt::format(
          "{}: has choices of its own for some blocks; name a contract for each block instead",
          name_or_path));
    }
    return std::move(contracts.model);
  }
  for (const BuiltinContract& contract : kBuiltinContracts) {
    if (contract.name != name_or_path) continue;
    const std::string file = fmt::format("configs/contracts/{}.yaml", contract.name);
    return ContractReader(ParseYaml(contract.text, file), file).Read().model;
  }
  throw InputError(fmt::format("unknown numerics contract '{}'; {}, or the path of a .yaml file",
                               Printable(name_or_path),
                               SuggestWord(name_or_path, BuiltinContracts())));
}

ModelContracts ReadContractsYaml(const std::filesystem::path& path) {
  return ReadContractsYaml(InputFile(path));
}

ModelContracts ReadContractsYaml(const InputFile& file) {
  return ContractReader(LoadYaml(file), file.path().string()).Read();
}

std::string ModelContracts::Label() const {
  std::string label = fmt::format("{} {}", model.name, model.version);
  std::string others;
  for (const auto& [block, contract] : blocks) {
    others += fmt::format("{}block {}: {} {}", others.empty() ? "" : ", ", block, contract.name,
                          contract.version);
  }
  return others.empty() ? label : fmt::format("{} ({})", label, others);
}

std::string ModelContracts::Hash() const {
  if (blocks.empty()) return model.Hash();
  std::string all = model.Hash();
  for (const auto& [block, contract] : blocks) {
    all += fmt::format("\n{} {}", block, contract.Hash());
  }
  return Sha256Hex(all);
}

namespace {

// Names and sources are free text.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + '"';
}

}  // namespace

std::string ContractsYaml(const ModelContracts& contracts) {
  const auto text = [](const NumericsContract& c, const std::string& indent) {
    std::string out;
    out += fmt::format("{}contract: {}\n", indent, Quoted(c.name));
    out += fmt::format("{}version: {}\n", indent, c.version);
    out += fmt::format("{}source: {}\n", indent, Quoted(c.source));
    out += fmt::format("{}sha256: \"{}\"\n", indent, c.Hash());
    out += fmt::format("{}scales: {}\n", indent, Name(c.scales));
    out += fmt::format("{}defaulted: [{}]\n", indent, fmt::join(c.defaulted, ", "));
    out += fmt::format("{}operations:\n", indent);
    for (const NumericsContract::Choice& choice : c.Operations()) {
      out += fmt::format("{}  {}: {}\n", indent, choice.operation, choice.scheme);
    }
    return out;
  };
  std::string out = "# The numerics contract of these files: docs/numerics.md, \"Contracts\".\n";
  out += text(contracts.model, "");
  if (!contracts.blocks.empty()) out += "blocks:\n";
  for (const auto& [block, contract] : contracts.blocks) {
    out += fmt::format("  {}:\n{}", block, text(contract, "    "));
  }
  return out;
}

std::vector<ContractDifference> CompareContracts(const ModelContracts& a, const ModelContracts& b) {
  std::vector<ContractDifference> differences;
  const auto compare = [&](const std::string& prefix, const NumericsContract& x,
                           const NumericsContract& y) {
    std::map<std::string, std::pair<std::string, std::string>> fields;
    for (const auto& choice : x.Operations()) fields[choice.operation].first = choice.scheme;
    for (const auto& choice : y.Operations()) fields[choice.operation].second = choice.scheme;
    fields["layernorm_eps"] = {std::string(Name(x.numerics.layernorm_eps)),
                               std::string(Name(y.numerics.layernorm_eps))};
    fields["quantize"] = {std::string(Name(x.numerics.quantize)),
                          std::string(Name(y.numerics.quantize))};
    fields["scales"] = {std::string(Name(x.scales)), std::string(Name(y.scales))};
    for (const auto& [field, values] : fields) {
      if (values.first != values.second) {
        differences.push_back({prefix + field, values.first, values.second});
      }
    }
  };
  compare("", a.model, b.model);
  std::set<int> blocks;
  for (const ModelContracts* side : {&a, &b}) {
    for (const auto& [block, contract] : side->blocks) blocks.insert(block);
  }
  const auto of = [](const ModelContracts& side, int block) -> const NumericsContract& {
    const auto found = side.blocks.find(block);
    return found == side.blocks.end() ? side.model : found->second;
  };
  for (const int block : blocks) {
    compare(fmt::format("blocks.{}.", block), of(a, block), of(b, block));
  }
  return differences;
}

}  // namespace qsim::config
