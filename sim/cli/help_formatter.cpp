#include "sim/cli/help_formatter.h"

#include <string_view>

#include "sim/text/text_util.h"

namespace qsim {
namespace {

constexpr std::size_t kLeftColumns = 26;

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

}  // namespace

HelpFormatter::HelpFormatter() { column_width(kLeftColumns); }

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return TwoColumns(make_option_name(option, is_positional) + make_option_opts(option),
                    make_option_desc(option));
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0) return "";
  const std::string type = option->get_type_name();
  std::string text = " " + type.substr(0, type.find(':'));  // validators follow the colon
  if (!option->get_default_str().empty()) text += "=" + option->get_default_str();
  if (option->get_required()) text += " REQUIRED";
  return text;
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return TwoColumns(command->get_name(), command->get_description());
}

}  // namespace qsim
