// What is realised: for each node of the network the sections of the configuration after the rules
// of docs/architecture.md, "What a granularity means in integers". A request that integer hardware
// cannot honour is an error, or, under `--realise nearest`, a listed substitution.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/network/network.h"

namespace qsim {

enum class Realise : std::uint8_t { kExact, kNearest };

// Which part of a network becomes a program.
struct Extent {
  Scope scope = Scope::kAttention;
  std::vector<std::int64_t> blocks;  // ascending, unique; empty: all of the model's
};

// One node of the program-to-be, every request realisable.
struct NodePlan {
  const network::Node* node = nullptr;
  std::vector<std::string> inputs;  // the nodes it reads, entries seen through
  bool input = false;               // the program's own: nothing computes it
  // Of its grid; a Projection has one only where an int8 step follows it, or where nothing reads
  // it.
  std::optional<Section> section;
  std::optional<Section> weight;  // Projection
  // What its observer sees: its section, but by channel where factors between channels are to be
  // found. Absent: not observed.
  std::optional<Section> observed;
  Hardware hardware;
  Numerics numerics;
  // A Product's right operand is the array's second, which is int8.
  bool second_operand = false;
};

class Plan {
 public:
  // Throws InputError with the section's origin for a request that cannot be realised.
  Plan(const network::Network& network, const Config& config, const Extent& extent,
       Realise realise);

  const std::vector<NodePlan>& nodes() const { return nodes_; }  // in the network's order
  const std::vector<LoweringNote>& notes() const { return notes_; }
  const NodePlan* Find(const std::string& node) const;
  const NodePlan& At(const std::string& node) const;  // throws InternalError
  std::vector<const NodePlan*> ReadersOf(const std::string& node) const;

 private:
  friend class Planner;
  NodePlan& Mutable(const std::string& node) { return nodes_[index_.at(node)]; }

  std::vector<NodePlan> nodes_;
  std::map<std::string, std::size_t> index_;
  std::vector<LoweringNote> notes_;
};

bool ChannelWise(const Section& section);

}  // namespace qsim
