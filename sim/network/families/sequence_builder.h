// What language models have in common: tokens enter through a table, blocks add to a stream, a head
// gives logits for every token. Weights are read as the nodes are added; those of a layer have its
// name, "layers.3.attn.q_proj".
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/inputs/manifest.h"
#include "sim/network/families/checkpoint.h"
#include "sim/network/families/model_config.h"
#include "sim/network/network.h"

namespace qsim::network {

class SequenceBuilder {
 public:
  // `family`: "a GLA model"; `names`: whose names there are. Throws InputError as Checkpoint, and
  // where the manifest has no config.json.
  SequenceBuilder(const Manifest& manifest, std::span<const NamingScheme> schemes,
                  std::string_view family, std::string_view names);

  const Checkpoint& file() const { return file_; }
  const ModelConfig& config() const { return config_; }

  // The stream at its beginning. `rows`: of the table. Throws InputError where the file holds
  // another number of blocks than `blocks`, which `key` of config.json says.
  std::string Begin(std::int64_t vocabulary, std::int64_t width, std::int64_t blocks,
                    const std::string& key);
  void BeginBlock(std::int64_t block);
  // The head of a stream that has been normalised; `tied`: its weights are the table, nothing:
  // where the file has none.
  Network Finish(const std::string& stream, std::optional<bool> tied);
  void BehindBlocks();

  // ---- nodes, by their name within the block; each returns its whole name, and reads such ----

  struct Traits {
    std::int64_t heads = 1;
    bool stream = false;
    bool wide = false;
    bool view = false;  // on the grid of what it reads
  };
  std::string Rows(const std::string& name, Function function, std::vector<std::string> inputs,
                   std::int64_t width, const Traits& traits);
  std::string Rows(const std::string& name, Function function, std::vector<std::string> inputs,
                   std::int64_t width) {
    return Rows(name, std::move(function), std::move(inputs), width, Traits());
  }
  // A linear layer, with the bias that the file may have.
  std::string Layer(const std::string& name, const std::string& input, std::int64_t out,
                    std::int64_t in, std::int64_t heads = 1);
  std::string Layer(const std::string& name, Linear layer, const std::string& input,
                    std::int64_t heads = 1);
  std::string Norm(const std::string& name, const std::string& input, LayerNorm norm,
                   std::int64_t heads = 1);
  std::string Sum(const std::string& name, const std::string& layer, const std::string& stream,
                  bool is_stream = true);
  // A causal convolution of `name`: what it reads is carried by name_past and name_tail. `weights`:
  // whose; with or without a bias.
  std::string Convolution(const std::string& name, const std::string& weights,
                          const std::string& input, std::int64_t channels, std::int64_t taps);
  // A recurrence of `name`, and the last `state`, which `past` carries. `inputs`: query, key,
  // value, decay.
  std::string Recurrent(const std::string& name, const Recurrence& function,
                        std::vector<std::string> inputs, std::int64_t width, std::int64_t heads,
                        const std::string& state, const std::string& past);

  // ---- tensors, by that name ----

  bool Has(const std::string& name) const { return file_.Has(Full(name)); }
  // How many numbers it has.
  std::int64_t SizeOf(const std::string& name) const;
  std::int64_t RowsOf(const std::string& name) const;
  FloatTensor Load(const std::string& name, const Shape& shape);
  // A bias that the file may lack is 0.
  Linear LoadLinear(const std::string& name, std::int64_t out, std::int64_t in);
  // Of groups of `stored` columns that have one gamma; without a gamma it is 1.
  LayerNorm LoadRms(const std::string& name, std::int64_t width, std::int64_t stored, double eps,
                    bool affine = true);
  // Throws InputError where a configuration's key says otherwise than the file whether a layer has
  // a bias.
  void CheckBias(const std::string& layer, const ModelConfig& config, const std::string& key) const;
  [[noreturn]] void Fail(const std::string& tensor, const std::string& what) const;
  void Note(std::string text) { net_.notes.push_back(std::move(text)); }

 private:
  std::string Full(const std::string& name) const;
  std::string Add(Node node);

  const Manifest& manifest_;
  std::string_view family_;
  ModelConfig config_;
  Checkpoint file_;
  std::set<std::string> read_;
  Network net_;
  std::int64_t length_ = 0;
  std::int64_t vocabulary_ = 0, width_ = 0;
  int blocks_ = 0, block_ = -1, part_ = 0;
};

}  // namespace qsim::network
