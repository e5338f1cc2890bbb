#include "tests/export/equations.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "derivation/exact.h"
#include "sim/text/text_util.h"

namespace qsim::testing {
namespace {

using derivation::Big;
using derivation::Floor;

[[noreturn]] void Fail(const std::string& text, const std::string& what) {
  throw std::runtime_error("'" + text + "': " + what);
}

// Where an expression is evaluated: the row and column of the output's last two axes flattened, and
// the index variables.
struct Place {
  std::int64_t row = 0, column = 0;
  std::map<std::string, std::int64_t> indices;
};

using Node = std::function<mpq_class(const Place&)>;

class Equations {
 public:
  Equations(const DescribedOperation& operation, const TensorMap& tensors,
            const std::map<std::string, IntTensor>& constants, const Shape& shape)
      : operation_(operation), constants_(constants), shape_(shape) {
    for (const std::string& input : operation.inputs) inputs_.push_back(&tensors.at(input));
    for (const std::string& line : operation.lines) Read(line);
  }

  std::vector<mpq_class> Output() {
    // The definition of y, or of y[0] for the rows that have their own.
    std::vector<mpq_class> values;
    const std::int64_t columns = shape_.back();
    for (std::int64_t i = 0; i < ElementCount(shape_); ++i) {
      Place place{i / columns, i % columns, {}};
      values.push_back(At(OutputDefinition(place), place));
    }
    return values;
  }

 private:
  struct Definition {
    std::string name;
    std::vector<std::string> indices;  // of y[t][n]: t, n
    std::string text;
    Node value;
    bool skips_sixteen = false;  // a = 16 adds 0
  };

  // ---- lines ----

  // At the top level, outside any bracket.
  static std::vector<std::string> Split(const std::string& text) {
    std::vector<std::string> pieces = {""};
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '(' || c == '[') ++depth;
      if (c == ')' || c == ']') --depth;
      if (depth == 0 && (c == ';' || c == ',')) {
        pieces.emplace_back();
        if (i + 1 < text.size() && text[i + 1] == ' ') ++i;
        continue;
      }
      pieces.back() += c;
    }
    return pieces;
  }

  void Read(std::string line) {
    std::smatch found;
    for (const char* prose : {"algorithm ", "accumulator ", "in groups of ", "x = columns "}) {
      if (line.starts_with(prose)) return ReadProse(line);
    }
    if (std::regex_match(line, found, std::regex(R"((\d+) heads? of (\d+) columns each; (.*))"))) {
      head_columns_ = std::stoll(found[2]);
      line = found[3];
    }
    line = line.substr(0, line.find(": "));  // what follows explains
    for (const std::string& piece : Split(line)) Piece(piece);
  }

  void ReadProse(const std::string& line) {
    std::smatch found;
    if (std::regex_match(line, found, std::regex(R"(x = columns (\d+)\.\.\d+ of the input)"))) {
      first_column_ = std::stoll(found[1]);
    } else if (line.starts_with("in groups")) {
      Fail(line, "has no equation");
    }
  }

  void Piece(const std::string& piece) {
    static const std::regex kConstant(R"((\w+) = (\S+) int(?:8|32))");
    static const std::regex kDefinition(R"(([\w']+)((?:\[\w+\])*) = (.*))");
    static const std::regex kBound(R"((\w) < (\d+))");
    static const std::regex kAtMost(R"(at most (\S+))"), kAtLeast(R"((\w+) at least (\S+))");
    static const std::regex kNewton(R"(ten Newton steps for sqrt\((.*)\))");
    std::smatch found;
    if (std::regex_match(piece, found, kConstant)) {
      arrays_[found[1]] = &constants_.at(found[2]);
    } else if (piece == "a = 16 adds 0") {
      definitions_.back().skips_sixteen = true;
    } else if (std::regex_match(piece, found, kDefinition)) {
      std::vector<std::string> indices;
      const std::string brackets = found[2];
      for (std::size_t i = 0; i < brackets.size(); ++i) {
        if (brackets[i] == '[') indices.emplace_back();
        if (brackets[i] != '[' && brackets[i] != ']') indices.back() += brackets[i];
      }
      const std::string name = found[1], text = found[3];
      if (constants_.contains(text)) {
        arrays_[name] = &constants_.at(text);
      } else if (std::regex_match(text, found, kNewton)) {
        const Node argument = Parse(found[1], definitions_.size());
        Define(name, indices, text, [argument](const Place& p) { return Newton(argument(p)); });
      } else {
        Define(name, indices, text, Parse(text, definitions_.size()));
      }
    } else if (std::regex_match(piece, found, kBound)) {
      bounds_[found[1]] = std::stoll(found[2]);
    } else if (std::regex_match(piece, found, kAtMost)) {
      const mpq_class most(found[1].str());
      Wrap([most](const mpq_class& value, const Place&) { return std::min(value, most); });
    } else if (std::regex_match(piece, found, kAtLeast)) {
      // Of a name that the definition before it uses.
      Definition last = std::move(definitions_.back());
      definitions_.pop_back();
      const std::string limited = "max(" + found[1].str() + ", " + found[2].str() + ")";
      Define(found[1], {}, limited, Parse(limited, definitions_.size()));
      Define(last.name, last.indices, last.text, Parse(last.text, definitions_.size()));
    } else if (piece == "up at 1.5") {
      const Node ratio = Parse("R", definitions_.size());
      Wrap([ratio](const mpq_class& log, const Place& p) {
        const mpq_class power = derivation::Power2(Floor(log).get_si());
        return mpq_class(log + (ratio(p) >= power * 3 / 2 ? 1 : 0));
      });
    } else if (!std::regex_match(
                   piece,
                   std::regex(
                       R"(\d+ entries|\w >= \d+|modulo 256|from 2\^16|over the last axis)"))) {
      Fail(piece, "is neither an equation nor a known remark");
    }
  }

  void Define(const std::string& name, const std::vector<std::string>& indices,
              const std::string& text, Node value) {
    definitions_.push_back({name, indices, text, std::move(value)});
  }
  template <typename Change>
  void Wrap(Change change) {
    const Node inner = definitions_.back().value;
    definitions_.back().value = [inner, change](const Place& p) { return change(inner(p), p); };
  }

  static mpq_class Newton(const mpq_class& square) {
    mpz_class k = derivation::Power2(16);
    for (int i = 0; i < 10; ++i) k = Floor(mpq_class(k + Floor(square / k)) / 2);
    return k;
  }

  // ---- evaluation ----

  const Definition& OutputDefinition(Place& place) const {
    const Definition* general = nullptr;
    for (const Definition& d : definitions_) {
      if (d.name != "y") continue;
      if (!d.indices.empty() && std::isdigit(d.indices[0][0]) != 0) {
        if (place.row == std::stoll(d.indices[0])) return d;
      } else {
        general = &d;
      }
    }
    if (general == nullptr) Fail(operation_.output, "has no equation of y");
    const std::vector<std::string>& names = general->indices;
    if (names.size() == 3 &&
        shape_.size() == 2) {  // y[h][i][j] in a tensor whose heads lie side by side
      place.indices = {{names[0], place.column / head_columns_},
                       {names[1], place.row},
                       {names[2], place.column % head_columns_}};
    } else {
      std::vector<std::int64_t> at = {place.row, place.column};
      if (names.size() == 3) at = {place.row / shape_[1], place.row % shape_[1], place.column};
      for (std::size_t i = 0; i < names.size(); ++i) place.indices[names[i]] = at[i];
    }
    return *general;
  }

  mpq_class At(const Definition& definition, const Place& place) const {
    skips_sixteen_ = definition.skips_sixteen;
    return definition.value(place);
  }

  // The definition that `name` means at `position`: the last one before it, or the first after it.
  const Definition* Meant(const std::string& name, std::size_t position) const {
    for (std::size_t i = std::min(position, definitions_.size()); i-- > 0;) {
      if (definitions_[i].name == name) return &definitions_[i];
    }
    for (std::size_t i = position + 1; i < definitions_.size(); ++i) {
      if (definitions_[i].name == name) return &definitions_[i];
    }
    return nullptr;
  }

  const IntTensor* Array(const std::string& name) const {
    const auto named = arrays_.find(name);
    if (named != arrays_.end()) return named->second;
    if (name == "x" || name == "a") return inputs_.at(0);
    if (name == "b" && inputs_.size() > 1) return inputs_[1];
    if (const auto table = constants_.find(name); table != constants_.end()) return &table->second;
    return nullptr;
  }

  mpq_class Element(const std::string& name, std::vector<std::int64_t> at,
                    const Place& place) const {
    const IntTensor* array = Array(name);
    if (array == nullptr) Fail(name, "is not known");
    const Shape& shape = array->shape();
    if (at.empty() && shape.size() == 1) at = {place.column};
    if (at.empty()) {  // an operation that works element by element, or row by row
      at = {place.row, place.column + first_column_};
      return Big(array->At(at[0] * shape.back() + at[1]));
    }
    if (at.size() == 3 && shape.size() == 2) at = {at[1], at[0] * head_columns_ + at[2]};
    if (at.size() + 1 == shape.size()) at.push_back(place.column);
    if (at.size() != shape.size()) Fail(name, "has another number of axes");
    std::int64_t flat = 0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (at[i] < 0 || at[i] >= shape[i]) Fail(name, "is read outside its shape");
      flat = flat * shape[i] + at[i];
    }
    return Big(array->At(flat));
  }

  // How far k runs: to its printed bound, else to the end of the first operand's last axis.
  std::int64_t Depth() const {
    const auto bound = bounds_.find("k");
    if (bound != bounds_.end()) return bound->second;
    return inputs_[0]->shape().size() == 2 ? head_columns_ : inputs_[0]->shape().back();
  }

  // The length of the row that an element-wise place lies in.
  std::int64_t Width() const { return shape_.back(); }

  mpq_class OverRow(const Node& node, Place place, bool maximum) const {
    place.column = 0;
    mpq_class result = node(place);
    while (++place.column < Width()) {
      const mpq_class value = node(place);
      result = maximum ? std::max(result, value) : mpq_class(result + value);
    }
    return result;
  }

  // ---- expressions ----

  class Parser {
   public:
    Parser(const Equations& equations, std::string text, std::size_t position)
        : e_(equations), text_(std::move(text)), position_(position) {}

    Node Parse() {
      Node node = Shift();
      Skip();
      if (at_ != text_.size()) Fail(text_, "ends before '" + text_.substr(at_) + "'");
      return node;
    }

   private:
    void Skip() {
      while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    bool Take(const std::string& token) {
      Skip();
      if (text_.compare(at_, token.size(), token) != 0) return false;
      at_ += token.size();
      return true;
    }
    void Expect(const std::string& token) {
      if (!Take(token)) Fail(text_, "needs '" + token + "' before '" + text_.substr(at_) + "'");
    }
    char Next() {
      Skip();
      return at_ < text_.size() ? text_[at_] : '\0';
    }

    template <typename Combine>
    static Node Two(Node a, Node b, Combine combine) {
      return [a = std::move(a), b = std::move(b), combine](const Place& p) -> mpq_class {
        return combine(a(p), b(p));
      };
    }
    using Q = mpq_class;

    static Q Shifted(const Q& a, const Q& bits) {
      return derivation::Scaled(a, Floor(bits).get_si());
    }

    Node Shift() {
      Node node = Sum();
      for (;;) {
        if (Take("<<")) {
          node = Two(node, Sum(), Shifted);
        } else if (Take(">>")) {
          node = Two(node, Sum(), [](const Q& a, const Q& b) { return Q(Floor(Shifted(a, -b))); });
        } else {
          return node;
        }
      }
    }

    Node Sum() {
      Node node = Product();
      for (;;) {
        if (Take("+")) {
          node = Two(node, Product(), [](const Q& a, const Q& b) { return Q(a + b); });
        } else if (Take("-")) {
          node = Two(node, Product(), [](const Q& a, const Q& b) { return Q(a - b); });
        } else {
          return node;
        }
      }
    }

    Node Product() {
      Node node = Signed();
      for (;;) {
        const char next = Next();
        if (Take("/")) {
          node = Two(node, Signed(), Divided);
        } else if (Take("*") || next == '(' ||
                   std::isalnum(static_cast<unsigned char>(next)) != 0 || next == '_') {
          node = Two(node, Signed(), [](const Q& a, const Q& b) { return Q(a * b); });
        } else {
          return node;
        }
      }
    }

    static Q Divided(const Q& a, const Q& b) {
      if (b == 0) throw std::runtime_error("a division by zero");
      return a / b;
    }

    Node Signed() {
      if (!Take("-")) return Power();
      const Node node = Signed();
      return [node](const Place& p) { return Q(-node(p)); };
    }

    Node Power() {
      const Node base = Primary();
      if (!Take("^")) return base;
      return Two(base, Signed(), [](const Q& a, const Q& b) {
        const long exponent = Floor(b).get_si();
        Q result = 1;
        for (long i = 0; i < std::abs(exponent); ++i) result *= a;
        return exponent < 0 ? Q(1 / result) : result;
      });
    }

    Node Primary() {
      const char next = Next();
      if (Take("(")) {
        const Node node = Shift();
        Expect(")");
        return node;
      }
      if (Take("|")) {
        const Node node = Shift();
        Expect("|");
        return [node](const Place& p) { return Q(abs(node(p))); };
      }
      std::string word;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                    text_[at_] == '_' || text_[at_] == '\'')) {
        word += text_[at_++];
      }
      if (word.empty()) Fail(text_, "cannot be read at '" + text_.substr(at_) + "'");
      if (std::isdigit(static_cast<unsigned char>(next)) != 0) {
        const Q number(word);
        return [number](const Place&) { return number; };
      }
      return Named(word);
    }

    Node Named(const std::string& word) {
      if (word == "sum_k") return SumOverK(Shift());
      if (word == "rowmax") {
        const Node x = Name("x", {});
        return [this_ = &e_, x](const Place& p) { return this_->OverRow(x, p, /*maximum=*/true); };
      }
      if (word == "C") {
        const Q width = Big(e_.Width());
        return [width](const Place&) { return width; };
      }
      const bool call = at_ < text_.size() && text_[at_] == '(';
      if (call && kFunctions.contains(word)) return Call(word);
      std::vector<Node> indices;
      while (at_ < text_.size() && text_[at_] == '[') {
        Expect("[");
        indices.push_back(Shift());
        Expect("]");
      }
      // "log2 R", where no parameter has that name.
      if (word == "log2" && indices.empty() && Next() == 'R') {
        const Node argument = Signed();
        return [argument](const Place& p) { return Log2(argument(p)); };
      }
      return Name(word, indices);
    }

    static Q Log2(const Q& x) {
      if (x < 1) throw std::runtime_error("the logarithm of less than 1");
      long log = 0;
      while (Q(derivation::Power2(log + 1)) <= x) ++log;
      return log;
    }

    Node SumOverK(const Node& term) {
      return [e = &e_, term](const Place& place) {
        Q sum = 0;
        Place inner = place;
        for (std::int64_t k = 0; k < e->Depth(); ++k) {
          inner.indices["k"] = k;
          if (e->skips_sixteen_ &&
              e->Element("a", {inner.indices.at("h"), inner.indices.at("i"), k}, inner) == 16) {
            continue;
          }
          sum += term(inner);
        }
        return sum;
      };
    }

    Node Name(const std::string& name, const std::vector<Node>& indices) {
      const std::size_t position = position_;
      return [e = &e_, name, indices, position](const Place& place) -> Q {
        const auto index = place.indices.find(name);
        if (index != place.indices.end() && indices.empty()) return Big(index->second);
        const Definition* definition = e->Meant(name, position);
        if (definition != nullptr && definition->name != "y" && indices.empty()) {
          return definition->value(place);
        }
        std::vector<std::int64_t> at;
        for (const Node& node : indices) at.push_back(Floor(node(place)).get_si());
        return e->Element(name, at, place);
      };
    }

    Node Call(const std::string& function) {
      Expect("(");
      std::vector<Node> arguments = {Shift()};
      while (Take(",")) arguments.push_back(Shift());
      Expect(")");
      if (function == "sum") {
        return [e = &e_, of = arguments[0]](const Place& p) {
          return e->OverRow(of, p, /*maximum=*/false);
        };
      }
      return [function, arguments](const Place& p) {
        std::vector<Q> values;
        for (const Node& argument : arguments) values.push_back(argument(p));
        return Apply(function, values);
      };
    }

    static Q Apply(const std::string& function, const std::vector<Q>& v) {
      if (function == "floor") return Floor(v[0]);
      if (function == "ceil_log2") return v[0] <= 1 ? Q(0) : Q(Log2(v[0] - 1) + 1);
      if (function == "trunc" || function == "toward_zero") return derivation::Truncate(v[0]);
      if (function == "half_up") return derivation::HalfUp(v[0]);
      if (function == "half_away") return derivation::HalfAway(v[0]);
      if (function == "half_even") return derivation::HalfEven(v[0]);
      if (function == "sign") return sgn(v[0]);
      if (function == "min") return std::min(v.at(0), v.at(1));
      if (function == "max") return std::max(v.at(0), v.at(1));
      if (function == "clamp") return std::min(std::max(v.at(0), v.at(1)), v.at(2));
      if (function == "int8") return v[0] - 256 * Floor((v[0] + 128) / 256);
      return sqrt(Floor(v[0]));  // sqrt, of which only the floor is ever taken
    }

    static inline const std::set<std::string> kFunctions = {
        "ceil_log2", "floor", "trunc", "toward_zero", "half_up", "half_away", "half_even",
        "sign",      "min",   "max",   "clamp",       "int8",    "sqrt",      "sum"};

    const Equations& e_;
    std::string text_;
    std::size_t position_;
    std::size_t at_ = 0;
  };

  Node Parse(const std::string& text, std::size_t position) const {
    return Parser(*this, text, position).Parse();
  }

  const DescribedOperation& operation_;
  const std::map<std::string, IntTensor>& constants_;
  Shape shape_;
  std::vector<const IntTensor*> inputs_;
  std::map<std::string, const IntTensor*> arrays_;
  std::map<std::string, std::int64_t> bounds_;
  std::vector<Definition> definitions_;
  std::int64_t head_columns_ = 1, first_column_ = 0;
  mutable bool skips_sixteen_ = false;
};

}  // namespace

std::vector<DescribedOperation> ParseDescription(const std::string& text) {
  static const std::regex kHeader(R"((\S+) = (\w+)\((.*)\)  \[numerics\.md ([0-9.]+)\])");
  static const std::regex kDefinition(R"([\w']+(\[\w+\])* = .*)");
  std::vector<DescribedOperation> operations;
  std::istringstream lines(text);
  std::string line, previous;
  bool operands = false;
  while (std::getline(lines, line)) {
    std::smatch found;
    if (std::regex_match(line, found, kHeader)) {
      operations.push_back({found[1], found[2], found[4], {}, {}});
      std::istringstream names(found[3]);
      for (std::string name; std::getline(names, name, ',');) {
        operations.back().inputs.push_back(name.substr(name.find_first_not_of(' ')));
      }
      operands = false;
      previous.clear();
      continue;
    }
    if (line.empty()) continue;
    operands = operands || line.starts_with("    in  ");
    if (operands) continue;
    // A line goes on where its next word would have passed the last column.
    const std::string rest = line.substr(4);
    const bool continues =
        !previous.empty() && !std::regex_match(rest, kDefinition) &&
        previous.size() + 1 + rest.substr(0, rest.find(' ')).size() > kTextColumns;
    if (continues) {
      operations.back().lines.back() += " " + rest;
    } else {
      operations.back().lines.push_back(rest);
    }
    previous = line;
  }
  return operations;
}

std::vector<mpq_class> EvaluateEquations(const DescribedOperation& operation,
                                         const TensorMap& tensors,
                                         const std::map<std::string, IntTensor>& constants,
                                         const Shape& shape) {
  return Equations(operation, tensors, constants, shape).Output();
}

}  // namespace qsim::testing
