#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/explain_report.h"
#include "sim/text/text_util.h"

namespace qsim::explain {
namespace {

// 4,812
std::string Grouped(std::int64_t value) {
  std::string digits = fmt::format("{}", value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

// "all 4,812 mismatches in X are explained by"
std::string Subject(const Explanation& e) {
  const char* noun = e.mismatches == 1 ? "mismatch" : "mismatches";
  if (e.explained != e.mismatches)
    return fmt::format("{} of {} {} ({:.1f} %) in {} are explained by", Grouped(e.explained),
                       Grouped(e.mismatches), noun,
                       100.0 * static_cast<double>(e.explained) / static_cast<double>(e.mismatches),
                       e.name);
  if (e.mismatches == 1) return fmt::format("the only mismatch in {} is explained by", e.name);
  return fmt::format("all {} {} in {} are explained by", Grouped(e.mismatches), noun, e.name);
}

std::string BrokenText(const Explanation& e) {
  if (e.broken == 0) return "";
  return fmt::format("; but {} would differ that {} now", Count(e.broken, "element", "elements"),
                     e.broken == 1 ? "matches" : "match");
}

std::string PartText(const Part& part) {
  return fmt::format("{} {} ({})", part.phrase, part.where, Grouped(part.explained));
}

std::string RegionsText(const Explanation& e) {
  const Part& last = e.parts.back();
  if (e.parts.size() == 2 && last.id == "golden")
    return fmt::format("{} {} {}, with {} {}", Subject(e), e.parts[0].phrase, e.parts[0].where,
                       last.phrase, last.where);
  constexpr const char* kNumbers[] = {"no rule", "one rule", "two rules", "three rules",
                                      "four rules"};
  // The golden one comes last.
  const std::size_t rules = e.parts.size() - (last.id == "golden" ? 1 : 0);
  std::string text;
  for (std::size_t i = 0; i < rules; ++i)
    text += (i == 0 ? "" : i + 1 == rules ? ", and " : ", ") + PartText(e.parts[i]);
  if (rules < e.parts.size()) text += fmt::format(", with {} {}", last.phrase, last.where);
  return fmt::format("{} {}: {}", Subject(e), kNumbers[rules], text);
}

// Where the mismatches are that nothing explains.
std::string WhereText(const Explanation& e) {
  if (e.where.empty()) return "";
  if (e.mismatches == 1) return " " + e.where;
  return fmt::format("; {} are in one part of the tensor: {}",
                     e.inside == e.mismatches ? "all" : Grouped(e.inside), e.where);
}

// What a rule leaves that is right where it differs, but for few of the mismatches.
std::string RestText(const Explanation& e) {
  const std::int64_t rest = e.mismatches - e.explained;
  if (rest <= e.explained) return "";
  return fmt::format("; nothing explains the other {}", Grouped(rest));
}

// What speaks against an answer.
std::string ReservationText(const Explanation& e) {
  constexpr std::int64_t kFew = 8;
  if (e.mismatches <= kFew && e.explained < e.mismatches)
    return fmt::format("; {} mismatches are few for a rule that leaves some: take it as a guess",
                       e.mismatches);
  if (e.freedom == 0 || e.mismatches > e.freedom + 2) return "";
  return fmt::format("; {} {} few for a rule with {}: take it as a guess",
                     Count(e.mismatches, "mismatch", "mismatches"),
                     e.mismatches == 1 ? "is" : "are",
                     Count(e.freedom, "number to choose", "numbers to choose"));
}

// `text` behind `lead`, further lines indented as far.
std::string Column(const std::string& lead, const std::string& text) {
  std::string out = lead;
  std::size_t used = lead.size();
  bool empty = true;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::size_t length = end - at;
    if (!empty && used + 1 + length > kTextColumns) {
      out += "\n" + std::string(lead.size(), ' ');
      used = lead.size();
      empty = true;
    }
    if (!empty) {
      out += ' ';
      ++used;
    }
    out += text.substr(at, length);
    used += length;
    empty = false;
    at = end + 1;
  }
  return out + "\n";
}

std::string FindingsText(const std::vector<Finding>& findings, bool mixed) {
  const std::size_t listed = mixed ? 3 : 6;
  std::string out = fmt::format("\n  {:>11}  {:>11}  {}\n", "explained", "broken",
                                mixed ? "one rule for the whole tensor" : "hypothesis");
  for (std::size_t i = 0; i < std::min(listed, findings.size()); ++i)
    out += Column(fmt::format("  {:>11}  {:>11}  ", Grouped(findings[i].explained),
                              Grouped(findings[i].broken)),
                  findings[i].phrase);
  return out;
}

std::string TiesText(const std::vector<Tie>& ties) {
  constexpr std::size_t kListed = 3;
  std::string out = "\n" + WrapText("", "This data cannot tell it from:");
  for (std::size_t i = 0; i < std::min(kListed, ties.size()); ++i) {
    std::string text = ties[i].phrase;
    if (const auto& s = ties[i].separation) {
      text += fmt::format("; {} separates them: {} against {}", s->input, s->first, s->second);
    } else {
      text +=
          "; no input was found that separates them: with these parameters they "
          "may be the same";
    }
    out += Column("  - ", text);
  }
  if (ties.size() > kListed) out += fmt::format("  and {} more (--json)\n", ties.size() - kListed);
  return out;
}

std::string ObservationsText(const Explanation& e) {
  std::string differences;
  for (const auto& [difference, count] : e.differences)
    differences +=
        fmt::format("{}{:+} {} times", differences.empty() ? "" : ", ", difference, Grouped(count));
  std::string out = "\nWhat is known:\n" + Column("  - ", "actual - expected: " + differences);
  for (const std::string& line : e.observations) out += Column("  - ", line);
  return out;
}

// What explains a tap, in the fewest words.
std::string Verdict(const Explanation& e) {
  if (e.verdict == Explanation::Verdict::kUnexplained) return "unexplained";
  if (e.parts.empty()) return e.findings[0].phrase;
  std::string rules;
  for (const Part& part : e.parts)
    rules += fmt::format("{}{}{}{}", rules.empty() ? "" : "; ", part.phrase,
                         part.where.empty() ? "" : " ", part.where);
  return rules;
}

// The culprits behind the first one, a line each.
std::string OthersText(const std::vector<Explanation>& taps) {
  std::string out =
      fmt::format("\n  {:>11}  {:>11}  {}\n", "mismatches", "explained", "other taps");
  for (std::size_t i = 1; i < taps.size(); ++i)
    out += Column(
        fmt::format("  {:>11}  {:>11}  ", Grouped(taps[i].mismatches), Grouped(taps[i].explained)),
        taps[i].name + ": " + Verdict(taps[i]));
  return out;
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kListed = 4;
  std::string list;
  for (std::size_t i = 0; i < std::min(kListed, names.size()); ++i)
    list += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kListed ? list + ", ..." : list;
}

}  // namespace

std::string SentenceOf(const Explanation& e) {
  switch (e.verdict) {
    case Explanation::Verdict::kEqual:
      return fmt::format("nothing to explain: all {} of {} are equal",
                         Count(e.elements, "element", "elements"), e.name);
    case Explanation::Verdict::kExplained:
      return fmt::format("{} {}{}{}{}", Subject(e), e.findings[0].phrase, BrokenText(e),
                         RestText(e), ReservationText(e));
    case Explanation::Verdict::kRegions:
      return RegionsText(e) + BrokenText(e) + ReservationText(e);
    case Explanation::Verdict::kUnexplained:
      break;
  }
  if (e.floor_or_ceil)
    return fmt::format(
        "no rule: each output of {} is floor or ceil of its exact value (stochastic rounding?), {} "
        "of {} not as expected{}",
        e.name, Grouped(e.mismatches), Grouped(e.elements), WhereText(e));
  std::string sentence = fmt::format(
      "no hypothesis explains the {} in {}{}",
      e.mismatches == 1 ? "mismatch" : Grouped(e.mismatches) + " mismatches", e.name, WhereText(e));
  // What explains next to nothing is not worth a word.
  if (!e.findings.empty() && 10 * e.findings[0].explained >= e.mismatches)
    sentence += fmt::format("; the best, {}, explains {} and breaks {}", e.findings[0].phrase,
                            Grouped(e.findings[0].explained), Grouped(e.findings[0].broken));
  return sentence;
}

std::string ExplanationText(const Explanation& e) {
  std::string out = WrapText("", SentenceOf(e));
  if (e.verdict == Explanation::Verdict::kEqual) return out;
  out += "\n" + WrapText("  ", fmt::format("{} compared, {} differ; golden: {}",
                                           Grouped(e.elements) + " elements", Grouped(e.mismatches),
                                           e.golden));
  if (e.verdict == Explanation::Verdict::kExplained && !e.findings[0].published.empty())
    out += WrapText("  ", e.findings[0].published);
  if (!e.findings.empty()) out += FindingsText(e.findings, !e.parts.empty());
  if (!e.ties.empty()) out += TiesText(e.ties);
  for (const Part& part : e.parts) {
    if (part.alternatives.empty()) continue;
    out += "\n" + WrapText("", fmt::format("This data cannot tell '{}' from: {}", part.phrase,
                                           fmt::join(part.alternatives, "; ")));
  }
  if (e.verdict == Explanation::Verdict::kUnexplained) out += ObservationsText(e);
  return out;
}

std::string DirectoryText(const DirectoryExplanation& result) {
  if (result.differing == 0)
    return fmt::format("nothing to explain: {} compared, all equal\n",
                       Count(result.compared, "tap", "taps"));
  std::string out = WrapText(
      "", fmt::format("{} compared, {} differ: {} of themselves",
                      Count(result.compared, "tap", "taps"), result.differing, result.taps.size()));
  if (!result.taps.empty()) out += "\n" + ExplanationText(result.taps[0]);
  if (result.taps.size() > 1) out += OthersText(result.taps);
  if (!result.followers.empty())
    out += "\n" + WrapText("", fmt::format("{} only because {} inputs do: {}",
                                           Count(static_cast<std::int64_t>(result.followers.size()),
                                                 "tap differs", "taps differ"),
                                           result.followers.size() == 1 ? "its" : "their",
                                           Listed(result.followers)));
  if (!result.notes.empty()) out += "\n";
  for (const std::string& note : result.notes) out += WrapText("", note);
  return out;
}

}  // namespace qsim::explain
