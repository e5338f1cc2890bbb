// The lattice of hypotheses. An operation has coordinates (the rounding, the accumulator's width,
// ...), each with a list of choices, the first of which is what the golden model does. A hypothesis
// is a point: one choice for each coordinate. docs/explain.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::explain {

struct Choice {
  std::string id;      // for machines: "half_away", "wrap"
  std::string phrase;  // for people: "half_away instead of half_up"
  // How far-fetched: what is published or common costs less, and is preferred where data cannot
  // tell.
  int cost = 2;
  bool core = true;            // also tried in combination with every other core choice
  std::string published = {};  // names of published schemes that do this
  std::int64_t freedom = 0;    // how many numbers of it were solved from the data
};

struct Coordinate {
  std::string name;             // "rounding"
  std::vector<Choice> choices;  // [0]: golden
};

// The index of a choice for each coordinate; all zeros is the golden operation.
using Hypothesis = std::vector<std::uint16_t>;

// A way to divide the elements of a tensor, by which two rules may be mixed.
struct Feature {
  enum class Kind : std::uint8_t {
    kIndex,     // buckets in a meaningful order: the index along an axis
    kCategory,  // each bucket has a name
  };
  Kind kind = Kind::kIndex;
  std::string name;                 // kIndex: "channel"; kCategory: what the buckets are about
  std::vector<std::string> labels;  // kCategory: "the accumulator is negative"
  std::int64_t buckets = 1;
  std::function<std::int64_t(std::int64_t)> bucket_of;  // element -> 0..buckets-1
  enum class Of : std::uint8_t { kValue, kAxis, kResidue };
  Of of = Of::kValue;  // what the buckets come from: what is computed, or a place
};

// The value that is rounded to an output.
struct ExactValue {
  std::int64_t floor = 0;
  double fraction = 0;
};

// An input for which two hypotheses give different results.
struct Separation {
  std::string input;                   // "accumulator -24576 in channel 3"
  std::int64_t first = 0, second = 0;  // what the two hypotheses give
};

// An operation with its inputs and parameters, and everything that may be suspected of it.
class Model {
 public:
  virtual ~Model() = default;

  virtual const std::vector<Coordinate>& coordinates() const = 0;
  virtual const Shape& shape() const = 0;  // of the output
  std::int64_t size() const { return ElementCount(shape()); }

  // The hypothesis's outputs of these elements, indices into the flat output.
  virtual void Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                        std::span<std::int64_t> out) const = 0;

  // Operations per element, roughly, in units of one requantization.
  virtual double Cost() const { return 1; }

  virtual std::vector<Feature> Features() const = 0;

  // What the data says beside the outputs, one line each: "an exact tie: 12 of 4,812".
  virtual std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const = 0;

  // What an output is before it is rounded and limited, for operations that round once.
  virtual std::optional<ExactValue> Exact(std::int64_t /*element*/) const { return std::nullopt; }

  // Elements that decide between hypotheses although they agree so far: larger is better.
  virtual double Interest(std::int64_t element) const = 0;

  virtual std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const = 0;

  Hypothesis Golden() const { return Hypothesis(coordinates().size(), 0); }
  int CostOf(const Hypothesis& point) const;
  std::int64_t FreedomOf(const Hypothesis& point) const;
  int Changes(const Hypothesis& point) const;
  // "half_away instead of half_up, and the output wraps"; "the golden rule" for the golden point.
  std::string PhraseOf(const Hypothesis& point) const;
  // "rounding=half_away overflow=wrap"
  std::string IdOf(const Hypothesis& point) const;
  // Published schemes among the choices: "half_even is also ibert_dyadic"; empty if there is none.
  std::string PublishedOf(const Hypothesis& point) const;
};

// One feature for each axis longer than 1 (`axis_names` as long as the shape), and the index modulo
// anything from 2 to 16, 32 and 64 along each.
std::vector<Feature> AxisFeatures(const Shape& shape, const std::vector<std::string>& axis_names);

// "image", "head", "row", "channel": the usual names of so many axes, the last ones row and
// channel.
std::vector<std::string> DefaultAxisNames(std::size_t axes);

// At most so many of a list, evenly spread, the first one included.
std::vector<std::int64_t> EvenlySpread(const std::vector<std::int64_t>& list, std::int64_t count);

// [2, 3] of a flat index.
std::vector<std::int64_t> IndexOfElement(std::int64_t element, const Shape& shape);

}  // namespace qsim::explain
