// Help texts within 80 columns.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qsim {

// CLI11's layout, with descriptions wrapped, and without validators and relations between options
// in the left column.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace qsim
