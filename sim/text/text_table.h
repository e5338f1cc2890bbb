// Tables of fixed columns for a terminal of 80.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/text/block_name.h"
#include "sim/text/text_util.h"

namespace qsim::text {

struct TextCell {
  std::string text;
  std::string_view color = {};  // ANSI, "31"
};

struct TextColumn {
  std::string_view title;
  std::size_t width;  // right aligned, so it includes the space before
};

// Rows of a left-aligned name and right-aligned cells. Text that does not fit its column is
// shortened; a name that does not fit gets a line of its own.
class TextTable {
 public:
  TextTable(std::size_t name_width, std::vector<TextColumn> columns, bool color)
      : name_width_(name_width), columns_(std::move(columns)), color_(color) {}

  std::string Header(const std::string& title) const;
  std::string Row(const std::string& name, const std::vector<TextCell>& cells) const;

 private:
  std::size_t name_width_;
  std::vector<TextColumn> columns_;
  bool color_;
};

// Prints a heading whenever the block of the next row changes; `fallback` for no block.
class BlockHeadings {
 public:
  BlockHeadings(const TextTable& table, std::string fallback)
      : table_(table), fallback_(std::move(fallback)) {}
  std::string Before(const BlockName& name);

 private:
  const TextTable& table_;
  std::string fallback_;
  std::string block_;
  bool started_ = false;
};

// "-" for what was not measured.
TextCell OptionalCell(const std::optional<double>& value, std::string_view format);

}  // namespace qsim::text
