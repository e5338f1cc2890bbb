#include "sim/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sim/io/files/limits.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::cli {
namespace {

constexpr const char* kFooter =
    "Exit status: 0 as asked and equal; 1 a comparison found a difference;\n"
    "2 wrong usage, configuration or input; 3 a defect in qsim itself.\n"
    "Examples: qsim run --config configs/attn_config.yaml --input vectors/\n"
    "'qsim COMMAND --help' describes one; all take --limits N (docs/formats.md).";

constexpr std::size_t kLeftColumns = 26;
constexpr std::int64_t kMostOfAnything = 1'000'000'000;

// The name, and beside it the description in lines that end before column 80.
std::string TwoColumns(const std::string& name, std::string_view description) {
  const std::string indent(kLeftColumns, ' ');
  std::string text = "  " + name;
  if (text.size() + 2 > kLeftColumns) {
    text += '\n' + indent;
  } else {
    text.resize(kLeftColumns, ' ');
  }
  std::size_t column = kLeftColumns;
  while (!description.empty()) {
    const std::size_t space = std::min(description.find(' '), description.size());
    const std::string_view word = description.substr(0, space);
    if (column > kLeftColumns && column + 1 + word.size() > kTextColumns) {
      text += '\n' + indent;
      column = kLeftColumns;
    }
    if (column > kLeftColumns) {
      text += ' ';
      ++column;
    }
    text += word;
    column += word.size();
    description.remove_prefix(std::min(space + 1, description.size()));
  }
  return text + '\n';
}

// What the help calls an option's value.
std::string TypeOf(const CLI::Option* option) {
  const std::string type = option->get_type_name();
  return type.substr(0, type.find(':'));  // validators follow the colon
}

constexpr const char* kNumber = "number";  // names the validator

template <typename Value>
CLI::Validator NumberIn(Value low, Value high) {
  return {[low, high](const std::string& text) -> std::string {
            const auto value = ParseNumber<Value>(text);
            if (value && *value >= low && *value <= high) return "";
            return fmt::format("'{}' is not a {}number in {}..{}", Printable(text),
                               std::is_integral_v<Value> ? "whole " : "", low, high);
          },
          "", kNumber};
}

// Help in two columns; descriptions wrap inside theirs.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kLeftColumns); }
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return TwoColumns(make_option_name(option, is_positional) + make_option_opts(option),
                      make_option_desc(option));
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string text = " " + TypeOf(option);
    if (!option->get_default_str().empty()) text += "=" + option->get_default_str();
    if (option->get_required()) text += " REQUIRED";
    return text;
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return TwoColumns(command->get_name(), command->get_description());
  }
};

// CLI11 asks for a subcommand before it looks at what was given in its place.
std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining();
  if (!app.get_subcommands().empty() || unknown.empty()) return error.what();
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  return fmt::format("unknown {} '{}'; {}", unknown[0].starts_with("-") ? "option" : "command",
                     Printable(unknown[0]), SuggestWord(unknown[0], commands));
}

}  // namespace

Argument Argument::Type(const std::string& name) const {
  return Argument(option_->type_name(name));
}
Argument Argument::Describe(const std::string& what) const {
  return Argument(option_->description(what));
}
Argument Argument::Group(const std::string& title) const { return Argument(option_->group(title)); }
Argument Argument::ShowDefault() const { return Argument(option_->capture_default_str()); }
Argument Argument::HideDefault() const { return Argument(option_->default_str("")); }
Argument Argument::Positive() const { return Between(1, kMostOfAnything); }
Argument Argument::NotNegative() const {
  return Between(0, std::numeric_limits<std::int64_t>::max());
}
Argument Argument::Between(std::int64_t low, std::int64_t high) const {
  *option_->get_validator(kNumber) = NumberIn(low, high);
  return *this;
}
Argument Argument::BetweenReals(double low, double high) const {
  *option_->get_validator(kNumber) = NumberIn(low, high);
  return *this;
}
Argument Argument::OneOf(const std::vector<std::string>& words) const {
  const auto known = [words](const std::string& word) -> std::string {
    if (std::find(words.begin(), words.end(), word) != words.end()) return "";
    return fmt::format("unknown value '{}'; {}", Printable(word), SuggestWord(word, words));
  };
  return Argument(option_->check(known));
}
Argument Argument::Required() const { return Argument(option_->required()); }
Argument Argument::OneEach() const { return Argument(option_->allow_extra_args(false)); }
Argument Argument::Excludes(const Argument& other) const {
  return Argument(option_->excludes(other.option_));
}
Argument Argument::Needs(const Argument& other) const {
  return Argument(option_->needs(other.option_));
}

template <typename Value>
Argument Command::Add(const std::string& name, Value& value, const std::string& what) const {
  if constexpr (std::is_arithmetic_v<Value>) {
    // Not CLI11's numbers: it takes 0x10 and 010 for others than 10, and nothing for 0.
    const auto parse = [&value](const CLI::results_t& words) {
      const auto number = ParseNumber<Value>(words.front());
      if (number) value = *number;
      return number.has_value();
    };
    using Limits = std::numeric_limits<Value>;
    return Argument(
        app_->add_option(name, parse, what, false, [&value] { return fmt::format("{}", value); })
            ->type_name(std::is_integral_v<Value> ? "INT" : "NUMBER")
            ->check(NumberIn(Limits::lowest(), Limits::max())));
  } else {
    CLI::Option* const option = app_->add_option(name, value, what);
    const auto filled = [option](const std::string& text) -> std::string {
      return text.empty() ? "is empty; give " + TypeOf(option) : "";
    };
    return Argument(option->check(filled));
  }
}
using std::string;
using std::filesystem::path;
template Argument Command::Add(const string&, string&, const string&) const;
template Argument Command::Add(const string&, path&, const string&) const;
template Argument Command::Add(const string&, std::vector<string>&, const string&) const;
template Argument Command::Add(const string&, std::vector<path>&, const string&) const;
template Argument Command::Add(const string&, int&, const string&) const;
template Argument Command::Add(const string&, std::int64_t&, const string&) const;
template Argument Command::Add(const string&, std::uint64_t&, const string&) const;
template Argument Command::Add(const string&, double&, const string&) const;

Argument Command::Flag(const std::string& name, bool& value, const std::string& what) const {
  return Argument(app_->add_flag(name, value, what));
}
Argument Command::Get(const std::string& name) const { return Argument(app_->get_option(name)); }
void Command::Remove(const std::string& name) const { app_->remove_option(app_->get_option(name)); }
void Command::Footer(const std::string& text) const { app_->footer(text); }
void Command::Check(std::function<void()> check) const { app_->callback(std::move(check)); }
bool Command::given() const { return app_->parsed(); }

CommandLine::CommandLine(const std::string& version)
    : app_(std::make_unique<CLI::App>(
          "A bit-accurate, integer-only reference simulator for ViT attention hardware")) {
  app_->name("qsim");
  app_->formatter(std::make_shared<HelpFormatter>());
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
  app_->footer(kFooter);
}

CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& what) {
  const Command command(app_->add_subcommand(name, what));
  // Named in the first help alone: it is for files that nearly nobody has.
  command.Add("--limits", limits_, "Read files N times as large").Between(1, 1'000'000).Group("");
  return command;
}

bool CommandLine::Parse(std::vector<std::string> words) {
  for (const std::string& word : words) {
    // CLI11 would take the next word for the value.
    if (word.starts_with("--") && word.find('=') == word.size() - 1)
      throw UsageError(fmt::format("{} is empty; give a value", Printable(word)));
  }
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    app_->parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw UsageError(UsageMessage(*app_, error));
    app_->exit(error);  // --help, --version
    return false;
  }
  SetLimits(limits_);
  return true;
}

}  // namespace qsim::cli
