#include "sim/text/text_table.h"

#include <fmt/format.h>

namespace qsim::text {

std::string TextTable::Header(const std::string& title) const {
  std::string line = fmt::format("{:<{}}", Shorten(title, name_width_ + 2), name_width_ + 2);
  for (const TextColumn& column : columns_)
    line += fmt::format("{:>{}}", column.title, column.width);
  return line + "\n";
}

std::string TextTable::Row(const std::string& name, const std::vector<TextCell>& cells) const {
  std::string line;
  if (name.size() > name_width_) {
    line = "  " + Shorten(name, kTextColumns - 2) + "\n" + std::string(name_width_ + 2, ' ');
  } else {
    line = fmt::format("  {:<{}}", name, name_width_);
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = columns_[i].width;
    const std::string text = Shorten(cells[i].text, width - 1);
    line += std::string(width - text.size(), ' ');
    line += color_ && !cells[i].color.empty()
                ? fmt::format("\x1b[{}m{}\x1b[0m", cells[i].color, text)
                : text;
  }
  return line + "\n";
}

std::string BlockHeadings::Before(const BlockName& name) {
  if (started_ && name.block == block_) return "";
  started_ = true;
  block_ = name.block;
  return "\n" + table_.Header(block_.empty() ? fallback_ : block_);
}

TextCell OptionalCell(const std::optional<double>& value, std::string_view format) {
  if (!value) return {"-"};
  return {fmt::format(fmt::runtime(format), *value)};
}

}  // namespace qsim::text
