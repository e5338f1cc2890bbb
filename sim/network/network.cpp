#include "sim/network/network.h"

#include <algorithm>
#include <utility>

#include "sim/error.h"
#include "sim/text/block_name.h"

namespace qsim::network {
namespace {

constexpr int kStreamBits = 16;  // every block adds to it, and nothing is ever scaled back

Describes DescribedBy(const Function& function) {
  if (std::holds_alternative<Projection>(function) ||
      std::holds_alternative<CausalConvolution>(function))
    return Describes::kLinearOutput;
  if (std::holds_alternative<LayerNorm>(function)) return Describes::kNorm;
  return std::holds_alternative<Softmax>(function) ? Describes::kSoftmax : Describes::kTensor;
}

}  // namespace

RecurrenceHeads HeadsOf(std::int64_t key_width, std::int64_t value_width, std::int64_t query,
                        std::int64_t key, std::int64_t value, std::int64_t decay) {
  RecurrenceHeads heads;
  heads.query = query / key_width;
  heads.key = key / key_width;
  heads.value = value / value_width;
  heads.decay_of_key = decay != std::max(heads.key, heads.value);
  heads.decay = heads.decay_of_key ? decay / key_width : decay;
  heads.state = std::max({heads.key, heads.value, heads.decay});
  heads.output = std::max(heads.query, heads.state);
  return heads;
}

const std::string& AccumulatorName(const Node& node) {
  const auto* projection = std::get_if<Projection>(&node.function);
  return projection == nullptr || projection->accumulator.empty() ? node.name
                                                                  : projection->accumulator;
}

std::string NarrowName(const Node& node) {
  return AccumulatorName(node) != node.name ? node.name : node.name + std::string(kNarrowSuffix);
}

Node& Network::Add(Node node) {
  for (const std::string& read : node.inputs) At(read);
  const auto* norm = std::get_if<LayerNorm>(&node.function);
  if (norm != nullptr &&
      (norm->centred ? node.inputs.size() != 1 || norm->groups != 1 : !norm->norm.beta.empty()))
    throw InternalError("'" + node.name +
                        "': gate and groups are an RMS norm's, and beta a layer norm's");
  if (!index_.emplace(node.name, nodes_.size()).second) {
    throw InternalError("two nodes are called '" + node.name + "'");
  }
  if (AccumulatorName(node) != node.name)
    accumulators_.emplace(AccumulatorName(node), nodes_.size());
  nodes_.push_back(std::move(node));
  return nodes_.back();
}

const Node* Network::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &nodes_[found->second];
}

const Node& Network::At(std::string_view name) const {
  if (const Node* node = Find(name)) return *node;
  throw InternalError("the network has no node '" + std::string(name) + "'");
}

Node& Network::At(std::string_view name) {
  return nodes_[index_.at(std::as_const(*this).At(name).name)];
}

std::int64_t Network::depth() const {
  int last = -1;
  for (const Node& node : nodes_) last = std::max(last, node.block);
  return last + 1;
}

const Node* Network::Head() const {
  return nodes_.empty() || nodes_.back().scope != Scope::kModel ? nullptr : &nodes_.back();
}

const Node* Network::Logits() const {
  const Node* head = Head();
  const bool layers =
      head != nullptr && (std::holds_alternative<Projection>(head->function) ||
                          (std::holds_alternative<Sum>(head->function) && !head->stream));
  return layers ? head : nullptr;
}

const Node* Network::TokenFeatures() const {
  const Node* node = nodes_.empty() ? nullptr : &nodes_.back();
  while (node != nullptr && node->shape.front() == 1 && !node->inputs.empty())
    node = Find(node->inputs.front());
  return node;
}

std::vector<const Node*> Network::ReadersOf(const Node& node) const {
  std::vector<const Node*> readers;
  for (const Node& reader : nodes_) {
    if (std::find(reader.inputs.begin(), reader.inputs.end(), node.name) == reader.inputs.end())
      continue;
    if (!std::holds_alternative<Entry>(reader.function)) {
      readers.push_back(&reader);
      continue;
    }
    const std::vector<const Node*> behind = ReadersOf(reader);
    readers.insert(readers.end(), behind.begin(), behind.end());
  }
  return readers;
}

bool Network::FeedsArray(const Node& node) const {
  const std::vector<const Node*> readers = ReadersOf(node);
  return std::any_of(readers.begin(), readers.end(), [](const Node* reader) {
    return std::holds_alternative<Projection>(reader->function) ||
           std::holds_alternative<Product>(reader->function) ||
           std::holds_alternative<CausalConvolution>(reader->function);
  });
}

bool Network::IsSecondFactor(const Node& node) const {
  const std::vector<const Node*> readers = ReadersOf(node);
  return std::any_of(readers.begin(), readers.end(), [&](const Node* reader) {
    return std::holds_alternative<Multiply>(reader->function) && reader->inputs[1] == node.name;
  });
}

bool Network::Absorbed(const Node& node) const {
  const bool scaled = std::holds_alternative<LayerNorm>(node.function) ||
                      std::holds_alternative<Multiply>(node.function);
  const std::vector<const Node*> readers = ReadersOf(node);
  return scaled && !readers.empty() &&
         std::all_of(readers.begin(), readers.end(), [](const Node* reader) {
           return std::holds_alternative<Projection>(reader->function);
         });
}

Sections Network::Vocabulary() const {
  std::vector<SectionKind> kinds;
  const auto find = [&](const std::string& key) {
    return std::find_if(kinds.begin(), kinds.end(),
                        [&](const SectionKind& kind) { return kind.key == key; });
  };
  const auto add = [&](const SectionKey& key, const Node& node, SectionKind kind) {
    if (find(key.key) != kinds.end()) return;
    kind.key = key.key;
    kind.is_per_block = key.block >= 0;
    kind.scope = node.scope;
    kinds.push_back(std::move(kind));
  };
  for (const Node& node : nodes_) {
    if (node.weight_section) {
      SectionKind kind;
      kind.describes = Describes::kWeight;
      kind.granularity = CalibrationMode::kChannelWise;
      add(*node.weight_section, node, std::move(kind));
    }
    if (!node.section) continue;
    if (std::holds_alternative<Entry>(node.function)) {
      find(node.section->key)->enters_block = true;
      continue;
    }
    SectionKind kind;
    kind.describes = DescribedBy(node.function);
    const bool layer = kind.describes == Describes::kLinearOutput;
    if (kind.describes == Describes::kSoftmax) {
      kind.is_signed = false;  // its grid is the algorithm's
    } else if (!layer || !ReadersOf(node).empty()) {
      kind.tensor = SplitBlock(node.name).rest + std::string(layer ? kNarrowSuffix : "");
    }
    const bool mean = std::holds_alternative<MeanRows>(node.function);
    kind.is_stream = (node.stream || mean) && !FeedsArray(node);
    // What a sequence carries on, and what no product reads, costs little to keep wide.
    const bool wide = !node.length_axes.empty() && !FeedsArray(node);
    if (kind.is_stream || wide) kind.bits = kStreamBits;
    // The other factor has 16, and the product 32.
    if (wide && IsSecondFactor(node)) kind.bits = kStreamBits - 1;
    kind.stays_wide = node.wide;
    kind.absorbed = Absorbed(node);
    add(*node.section, node, std::move(kind));
  }
  return Sections(std::move(kinds));
}

const Node* Network::NodeOf(std::string_view tensor) const {
  if (const Node* node = Find(tensor)) return node;
  for (const std::string_view suffix :
       {kProductSuffix, kNarrowSuffix, kSumSuffix, kQuotientSuffix}) {
    if (tensor.ends_with(suffix)) return Find(tensor.substr(0, tensor.size() - suffix.size()));
  }
  const auto found = accumulators_.find(tensor);
  return found == accumulators_.end() ? nullptr : &nodes_[found->second];
}

}  // namespace qsim::network
