#include "sim/io/yaml/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/limits.h"
#include "sim/namespaces.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

constexpr std::size_t kDeepest = 64;
// Merge keys can multiply entries; no honest file comes near.
constexpr std::size_t kMostMergedEntries = 100'000;
// The parser takes microseconds for a value, and a tree a hundred bytes.
constexpr std::int64_t kMostValues = 500'000;
constexpr std::int64_t kMostListed = 2'000'000;

// A bundle's scales are lists of thousands of numbers, for each of which the parser takes
// microseconds. It is given a list of one in their place.
struct Shortened {
  std::string text;
  std::map<int, std::vector<std::string_view>> lists;  // of the original text, by line
};

// The numbers of "key: [1, 2, 3]", or nothing where a line is anything else.
std::vector<std::string_view> NumbersOf(std::string_view line, std::size_t& open) {
  const std::size_t key = line.find_first_not_of(' ');
  open = line.find(": [");
  if (key == std::string_view::npos || open == std::string_view::npos || !line.ends_with(']') ||
      line.substr(key, open - key).find_first_of(" -?#&*!\"'[]{},:") != std::string_view::npos)
    return {};
  open += 2;
  std::string_view rest = line.substr(open + 1, line.size() - open - 2);
  if (rest.find_first_not_of("0123456789+-.e, ") != std::string_view::npos) return {};
  std::vector<std::string_view> numbers;
  while (true) {
    const std::size_t comma = rest.find(',');
    std::string_view number = rest.substr(0, comma);
    number.remove_prefix(std::min(number.find_first_not_of(' '), number.size()));
    if (number.empty() || number.find(' ') != std::string_view::npos) return {};
    numbers.push_back(number);
    if (comma == std::string_view::npos) return numbers;
    rest.remove_prefix(comma + 1);
  }
}

Shortened Shorten(std::string_view text, std::string_view file) {
  constexpr std::size_t kLong = 64;
  Shortened result;
  // What could make such a line part of a text: only then is the whole file the parser's.
  if (text.find_first_of("|>'\t") != std::string_view::npos) return {std::string(text), {}};
  int number = 1;
  std::int64_t listed = 0;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (std::count(line.begin(), line.end(), '"') % 2 != 0) return {std::string(text), {}};
    std::size_t open = 0;
    auto numbers = line.size() > kLong ? NumbersOf(line, open) : std::vector<std::string_view>();
    if (numbers.size() > kLong) {
      listed += static_cast<std::int64_t>(numbers.size());
      if (listed > Raised(kMostListed)) {
        throw InputError(fmt::format("{}:{}: more than {} values; {}", file, number,
                                     Raised(kMostListed), kRaisedBy));
      }
      result.text.append(line.substr(0, open)).append("[0]");
      result.lists.emplace(number, std::move(numbers));
    } else {
      result.text.append(line);
    }
    if (end < text.size()) result.text.push_back('\n');
    begin = end + 1;
  }
  return result;
}

// Builds the tree from the parser's events. yaml-cpp's own tree would drop duplicate keys silently.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, const Shortened& source) : file_(file), source_(source) {}

  YamlPtr Take() { return root_; }
  // Where the last quoted scalar begins, in bytes, and its line; -1 without one.
  int last_quote() const { return last_quote_; }
  int last_quote_line() const { return last_quote_line_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto node = Make(YamlNode::Kind::kNull, mark);
    Close(anchor, node);
    Add(node, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) Fail(mark.line + 1, "an alias inside its own anchor");
    if (ExpectsKey()) Fail(mark.line + 1, "an alias as a key; write the key out");
    if (const auto height = heights_.find(it->second.get());
        height != heights_.end() && !open_.empty()) {
      open_.back().height = std::max(open_.back().height, height->second + 1);
      if (open_.size() + static_cast<std::size_t>(height->second) > kDeepest)
        Fail(mark.line + 1, fmt::format("aliases of aliases nested deeper than {}", kDeepest));
    }
    Add(it->second, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(mark, tag);
    const auto node = Make(YamlNode::Kind::kScalar, mark);
    node->quoted = tag == "!";
    if (node->quoted) {
      last_quote_ = mark.pos;
      last_quote_line_ = mark.line + 1;
    }
    node->scalar = value;
    if (!node->quoted && value.empty()) node->kind = YamlNode::Kind::kNull;
    Close(anchor, node);
    Add(node, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    Open(Make(YamlNode::Kind::kSequence, mark), mark, anchor);
  }
  void OnSequenceEnd() override {
    YamlNode& list = *open_.back().node;
    if (const auto longer = source_.lists.find(list.line); longer != source_.lists.end()) {
      list.items.clear();
      for (const std::string_view number : longer->second) {
        auto item = std::make_shared<YamlNode>();
        item->kind = YamlNode::Kind::kScalar;
        item->line = list.line;
        item->scalar = number;
        list.items.push_back(std::move(item));
      }
    }
    CloseTop();
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    CheckTag(mark, tag);
    Open(Make(YamlNode::Kind::kMap, mark), mark, anchor);
  }
  void OnMapEnd() override {
    Merge(*open_.back().node);
    if (open_.size() == 1) {
      std::erase_if(open_.back().node->entries,
                    [](const YamlEntry& entry) { return entry.key.starts_with("x-"); });
    }
    CloseTop();
  }

 private:
  using NodePtr = std::shared_ptr<YamlNode>;
  struct OpenNode {
    NodePtr node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // a map's key waits for its value
    int height = 0;        // of what is below, aliases followed
    std::set<std::string, std::less<>> keys = {};
  };

  [[noreturn]] void Fail(int line, std::string_view what) const {
    throw InputError(fmt::format("{}:{}: {}", file_, line, what));
  }
  // "?" plain, "!" quoted, "" plain null or container; !!map and the like would change the meaning.
  void CheckTag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Fail(mark.line + 1, fmt::format("tag '{}' is not supported", Printable(tag)));
    }
  }
  NodePtr Make(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++values_ > Raised(kMostValues))
      Fail(mark.line + 1, fmt::format("more than {} values; {}", Raised(kMostValues), kRaisedBy));
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->line = mark.line + 1;
    return node;
  }
  bool ExpectsKey() const {
    return !open_.empty() && open_.back().node->kind == YamlNode::Kind::kMap &&
           !open_.back().has_key;
  }
  void Close(YAML::anchor_t anchor, const NodePtr& node) {
    if (anchor == 0) return;
    node->anchored = true;
    anchors_[anchor] = node;
  }
  void Open(const NodePtr& node, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (ExpectsKey()) Fail(mark.line + 1, "a key must be a plain word, not a list or a map");
    if (open_.size() >= kDeepest)
      Fail(mark.line + 1, fmt::format("nested deeper than {}", kDeepest));
    Add(node, mark);
    open_.push_back(OpenNode{.node = node, .anchor = anchor});
  }
  void CloseTop() {
    const int height = open_.back().height;
    heights_[open_.back().node.get()] = height;
    Close(open_.back().anchor, open_.back().node);
    open_.pop_back();
    if (!open_.empty()) open_.back().height = std::max(open_.back().height, height + 1);
  }
  void Add(const YamlPtr& node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node->kind == YamlNode::Kind::kSequence) {
      parent.node->items.push_back(node);
    } else if (parent.has_key) {
      parent.node->entries.back().value = node;
      parent.has_key = false;
    } else {
      if (node->kind != YamlNode::Kind::kScalar) Fail(mark.line + 1, "an empty key");
      if (!parent.keys.insert(node->scalar).second) {
        Fail(mark.line + 1,
             fmt::format("key '{}': appears twice in one map", Printable(node->scalar)));
      }
      parent.node->entries.push_back(YamlEntry{node->scalar, mark.line + 1, nullptr});
      parent.has_key = true;
    }
  }
  // Replaces `<<: *anchor` or `<<: [*a, *b]` by the entries that the map does not have itself;
  // earlier maps of a list win.
  void Merge(YamlNode& map) {
    OpenNode& open = open_.back();
    if (!open.keys.contains("<<")) return;
    std::vector<YamlEntry> merged;
    for (const YamlEntry& entry : map.entries) {
      if (entry.key != "<<") merged.push_back(entry);
    }
    for (const YamlEntry& entry : map.entries) {
      if (entry.key != "<<") continue;
      const bool list = entry.value->kind == YamlNode::Kind::kSequence;
      for (const YamlPtr& source : list ? entry.value->items : std::vector<YamlPtr>{entry.value}) {
        if (source->kind != YamlNode::Kind::kMap) {
          Fail(entry.line, "key '<<': expected an alias of a map, or a list of them");
        }
        for (const YamlEntry& inherited : source->entries) {
          if (!open.keys.insert(inherited.key).second) continue;
          if (++merged_entries_ > kMostMergedEntries) Fail(entry.line, "too many merged keys");
          merged.push_back(inherited);
        }
      }
    }
    map.entries = std::move(merged);
  }

  std::string_view file_;
  const Shortened& source_;
  YamlPtr root_;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, YamlPtr> anchors_;
  std::map<const YamlNode*, int> heights_;  // of lists and maps, aliases followed
  std::int64_t values_ = 0;
  std::size_t merged_entries_ = 0;
  int last_quote_ = -1;
  int last_quote_line_ = 0;
};

// yaml-cpp takes the end of the file for a missing closing quote. Such a scalar is always the last
// one.
bool LacksClosingQuote(std::string_view text, int quote_position) {
  if (quote_position < 0) return false;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::size_t at = static_cast<std::size_t>(quote_position);
  // A tag or an anchor in front hides the quote; such a scalar is not checked.
  if (at >= text.size() || (text[at] != '\'' && text[at] != '"')) return false;
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      const bool doubled = quote == '\'' && at + 1 < text.size() && text[at + 1] == quote;
      if (!doubled) return false;
      ++at;
    }
  }
  return true;
}

// Blanks that look like spaces, in front of a line's first word.
void CheckIndentation(std::string_view text, std::string_view file) {
  constexpr auto kLookalikes = std::to_array<std::string_view>(
      {"\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x83", "\xe2\x80\xaf", "\xe2\x80\x8b"});
  int line = 1;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view rest = text.substr(std::min(text.find_first_not_of(" \t", at), end));
    for (const std::string_view blank : kLookalikes) {
      if (rest.starts_with(blank)) {
        throw InputError(
            fmt::format("{}:{}: invalid YAML: a no-break space, or another blank that is no space, "
                        "in the indentation; indent with plain spaces",
                        file, line));
      }
    }
    at = end + 1;
  }
}

// What the parser calls an illegal value, in the words of the person who wrote it.
std::string CauseOf(const YAML::Exception& error, std::string_view text, int& line) {
  int number = 1;
  int tab = 0;
  for (std::size_t at = 0; at < text.size() && number <= line + 1; ++number) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::size_t first = std::min(text.find_first_not_of(" \t", at), end);
    if (text.substr(at, first - at).find('\t') != std::string_view::npos && first < end)
      tab = number;
    at = end + 1;
  }
  if (tab != 0) {
    line = tab;
    return "a tab in the indentation; YAML indents with spaces";
  }
  if (text.find("\xef\xbb\xbf", 1) != std::string_view::npos)
    return "a byte order mark inside the file; save it as UTF-8 without BOM";
  return Printable(error.msg);
}

}  // namespace

YamlPtr YamlNode::Find(std::string_view key) const {
  for (const YamlEntry& entry : entries) {
    if (entry.key == key) return entry.value;
  }
  return nullptr;
}

std::string YamlNode::Describe() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar: {
      const bool looks_plain = ParseNumber<double>(scalar) || scalar == "True" ||
                               scalar == "False" || scalar == "true" || scalar == "false";
      if (quoted && looks_plain)
        return fmt::format("'{0}' in quotes, which is text; write {0}", Printable(scalar));
      return fmt::format("'{}'", Printable(scalar));
    }
    case Kind::kSequence:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  throw InternalError("YAML node of an unknown kind");
}

YamlPtr ParseYaml(std::string_view text, std::string_view file_name) {
  CheckIndentation(text, file_name);
  const Shortened source = Shorten(text, file_name);
  // The parser reads on to the end of a list before it hands out its first value.
  const auto flow = std::count_if(source.text.begin(), source.text.end(),
                                  [](char c) { return c == ',' || c == '[' || c == '{'; });
  if (flow > Raised(kMostValues)) {
    throw InputError(
        fmt::format("{}: more than {} values; {}", file_name, Raised(kMostValues), kRaisedBy));
  }
  TreeBuilder builder(file_name, source);
  try {
    std::istringstream stream(source.text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      throw InputError(fmt::format("{}: is empty", file_name));
    }
    if (LacksClosingQuote(source.text, builder.last_quote())) {
      throw InputError(fmt::format("{}:{}: invalid YAML: text without its closing quote", file_name,
                                   builder.last_quote_line()));
    }
    YamlPtr root = builder.Take();
    TreeBuilder rest(file_name, source);
    if (parser.HandleNextDocument(rest)) {
      const YamlPtr second = rest.Take();
      throw InputError(fmt::format("{}:{}: a second document; expected one per file", file_name,
                                   second ? second->line : 1));
    }
    if (!root || root->kind == YamlNode::Kind::kNull) {
      throw InputError(fmt::format("{}: is empty", file_name));
    }
    return root;
  } catch (const YAML::Exception& error) {
    int line = error.mark.is_null() ? 1 : error.mark.line + 1;
    const std::string cause = CauseOf(error, text, line);
    throw InputError(fmt::format("{}:{}: invalid YAML: {}", file_name, line, cause));
  }
}

YamlPtr LoadYaml(const std::filesystem::path& path, std::uint64_t most_bytes) {
  return LoadYaml(InputFile(path), most_bytes);
}

YamlPtr LoadYaml(const InputFile& file, std::uint64_t most_bytes) {
  return ParseYaml(ReadTextFile(file, most_bytes, "a YAML file"), file.path().string());
}

}  // namespace qsim::io
