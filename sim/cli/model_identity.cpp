#include "sim/cli/model_identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/io/files/hash.h"

namespace qsim::cli {
namespace {

// What turns the tensors of a file into a network: the numbers that were stated, and the file
// beside the weights, of which other families read more than those.
std::string DescriptionOf(const Manifest& manifest) {
  const Geometry& g = manifest.geometry;
  std::string text;
  const auto add = [&](const auto& value) {
    text += value ? fmt::format("{}\n", *value) : std::string("-\n");
  };
  for (const auto& number : {g.image, g.channels, g.patch, g.dim, g.heads, g.tokens, g.depth,
                             g.mlp_hidden, g.classes, g.vocabulary})
    add(number);
  add(g.eps);
  add(g.activation);
  add(g.pool);
  for (const IgnoredTensors& ignored : manifest.ignore_tensors) text += ignored.pattern + "\n";
  if (!manifest.config.empty()) text += Sha256HexOfFile(manifest.config);
  return Sha256Hex(text);
}

}  // namespace

Identity ModelIdentity(const ModelOptions& options, const LoadedModel& loaded) {
  return {{"version of qsim", QSIM_VERSION},
          {"weights", loaded.model.weights_hash},
          {"model", DescriptionOf(loaded.manifest)},
          {"inject", Sha256Hex(fmt::format("{}", fmt::join(options.inject, "\n")))}};
}

}  // namespace qsim::cli
