#include "sim/network/vit_model.h"

#include <fmt/format.h>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/network/weight_coverage.h"

namespace qsim {
namespace {

class Loader {
 public:
  explicit Loader(const Manifest& manifest)
      : manifest_(manifest), file_(Safetensors::Open(manifest.model)) {}

  VitModel Load() {
    RejectVariants(file_);
    const bool patches =
        manifest_.Calibration().images || (manifest_.evaluation && manifest_.evaluation->images);
    const NetworkParts parts = PartsOf(file_, manifest_, patches);
    RequireTensors(file_, manifest_, parts);
    ResolveGeometry(parts);
    VitModel model;
    model.geometry = g_;
    if (patches) LoadEmbedding(model);
    const std::string fc1 = "blocks.0.mlp.fc1.weight";
    const std::int64_t hidden =
        Agreed(manifest_.geometry.mlp_hidden, ShapeOf(fc1, 2)[0], "mlp_hidden", fc1);
    for (std::int64_t n = 0; n < g_.depth; ++n) {
      const std::string prefix = fmt::format("blocks.{}.", n);
      BlockWeights block;
      block.norm1 = LoadNorm(prefix + "norm1");
      block.qkv = LoadLinear(prefix + "attn.qkv", 3 * g_.dim, g_.dim, parts.qkv_bias);
      block.proj = LoadLinear(prefix + "attn.proj", g_.dim, g_.dim);
      block.norm2 = LoadNorm(prefix + "norm2");
      block.fc1 = LoadLinear(prefix + "mlp.fc1", hidden, g_.dim);
      block.fc2 = LoadLinear(prefix + "mlp.fc2", g_.dim, hidden);
      model.blocks.push_back(std::move(block));
    }
    if (parts.head) LoadHead(model);
    RejectUnusedTensors(file_, manifest_, parts);
    model.weights_hash = Sha256HexOfFile(manifest_.model);
    return model;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw InputError(manifest_.model.string() + ": " + what);
  }

  // A dimension that manifest and tensors may both state: they must agree.
  std::int64_t Agreed(const std::optional<std::int64_t>& stated, std::int64_t stored,
                      const std::string& what, const std::string& tensor) const {
    if (stated && *stated != stored) {
      throw InputError(fmt::format("{}: {} is {}, but tensor '{}' of {} says {}",
                                   manifest_.path.string(), what, *stated, tensor,
                                   manifest_.model.string(), stored));
    }
    return stored;
  }

  const Shape& ShapeOf(const std::string& name, std::size_t rank) const {
    const Shape& shape = file_.ShapeOf(name);
    if (shape.size() != rank) {
      Fail(fmt::format("tensor '{}' has {} dimensions, expected {}", name, shape.size(), rank));
    }
    return shape;
  }

  void ResolveGeometry(const NetworkParts& parts) {
    const Geometry& stated = manifest_.geometry;
    g_.depth = parts.depth;
    const std::string first = "blocks.0.norm1.weight";
    g_.dim = Agreed(stated.dim, ShapeOf(first, 1)[0], "dim", first);
    if (!stated.heads) {
      throw InputError(manifest_.path.string() +
                       ": heads is missing; weights do not tell the number of attention heads");
    }
    g_.heads = *stated.heads;
    if (g_.heads < 1 || g_.dim % g_.heads != 0) {
      throw InputError(fmt::format("{}: heads: {} does not divide dim {}", manifest_.path.string(),
                                   g_.heads, g_.dim));
    }
    g_.eps = stated.eps.value_or(1e-6);
    if (parts.patches) {
      ResolveImage(stated);
    } else if (stated.tokens) {
      g_.tokens = *stated.tokens;
    } else {
      throw InputError(manifest_.path.string() + ": tokens is missing; token embeddings need it");
    }
  }

  void ResolveImage(const Geometry& stated) {
    const std::string name = "patch_embed.proj.weight";
    const Shape& shape = ShapeOf(name, 4);
    g_.image_channels = Agreed(stated.channels, shape[1], "channels", name);
    g_.patch = Agreed(stated.patch, shape[2], "patch", name);
    const Shape& positions = ShapeOf("pos_embed", 3);
    g_.tokens = Agreed(stated.tokens, positions[1], "tokens", "pos_embed");
    std::int64_t side = 0;
    while ((side + 1) * (side + 1) <= g_.tokens - 1) ++side;
    if (side * side != g_.tokens - 1) {
      Fail(fmt::format(
          "tensor 'pos_embed' has {} positions; a square image and a class token need n^2 + 1",
          g_.tokens));
    }
    g_.image_size = Agreed(stated.image, side * g_.patch, "image", "pos_embed");
  }

  Norm LoadNorm(const std::string& name) const {
    return {file_.Load(name + ".weight", Shape{g_.dim}).data,
            file_.Load(name + ".bias", Shape{g_.dim}).data};
  }

  Linear LoadLinear(const std::string& name, std::int64_t out, std::int64_t in,
                    bool has_bias = true) const {
    FloatTensor weight = file_.Load(name + ".weight", Shape{out, in});
    std::vector<float> bias(static_cast<std::size_t>(out), 0.0F);
    if (has_bias) bias = file_.Load(name + ".bias", Shape{out}).data;
    return {std::move(weight), std::move(bias)};
  }

  void LoadEmbedding(VitModel& model) const {
    FloatTensor weight =
        file_.Load("patch_embed.proj.weight", Shape{g_.dim, g_.image_channels, g_.patch, g_.patch});
    weight.shape = {g_.dim, g_.image_channels * g_.patch * g_.patch};
    model.patch_embed = {std::move(weight),
                         file_.Load("patch_embed.proj.bias", Shape{g_.dim}).data};
    model.cls_token = file_.Load("cls_token", Shape{1, 1, g_.dim}).data;
    model.pos_embed = file_.Load("pos_embed", Shape{1, g_.tokens, g_.dim});
    model.pos_embed.shape = {g_.tokens, g_.dim};
  }

  void LoadHead(VitModel& model) const {
    model.norm = LoadNorm("norm");
    const std::int64_t classes =
        Agreed(manifest_.geometry.classes, ShapeOf("head.weight", 2)[0], "classes", "head.weight");
    model.head = LoadLinear("head", classes, g_.dim);
    model.geometry.classes = classes;
  }

  const Manifest& manifest_;
  Safetensors file_;
  VitGeometry g_;
};

}  // namespace

VitModel LoadVit(const Manifest& manifest) { return Loader(manifest).Load(); }

}  // namespace qsim
