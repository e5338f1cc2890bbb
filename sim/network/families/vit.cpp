#include "sim/network/families/vit.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/network/families/vit_tensors.h"

namespace qsim::network {
namespace {

class Loader {
 public:
  explicit Loader(const Manifest& manifest)
      : manifest_(manifest), file_(Safetensors::Open(manifest.model)) {}

  Network Load() {
    RejectVariants(file_);
    const bool patches =
        manifest_.Calibration().images || (manifest_.evaluation && manifest_.evaluation->images);
    parts_ = PartsOf(file_, manifest_, patches);
    RequireTensors(file_, manifest_, parts_);
    ResolveGeometry();
    Embedding();
    std::string stream = "embed";
    for (std::int64_t n = 0; n < parts_.depth; ++n) stream = Block(n, stream);
    if (parts_.head) Head(stream);
    RejectUnusedTensors(file_, manifest_, parts_);
    net_.weights_hash = Sha256HexOfFile(manifest_.model);
    return std::move(net_);
  }

 private:
  // ---- the network, as its figure reads ----

  void Embedding() {
    const Shape stream = {tokens_, dim_};
    if (!parts_.patches) {
      Add({.name = "embed",
           .function = Activations{},
           .shape = stream,
           .section = {{"embed"}},
           .stream = true});
      return;
    }
    const std::int64_t depth = channels_ * patch_ * patch_;
    Add({.name = "image",
         .function = Pixels{},
         .shape = {channels_, size_, size_},
         .compared = false});
    Add({.name = "patches",
         .function = Patches{patch_},
         .inputs = {"image"},
         .shape = {tokens_ - 1, depth},
         .compared = false});
    FloatTensor weight =
        file_.Load("patch_embed.proj.weight", Shape{dim_, channels_, patch_, patch_});
    weight.shape = {dim_, depth};
    Add({.name = "patch_embed",
         .function =
             Projection{{std::move(weight), file_.Load("patch_embed.proj.bias", Shape{dim_}).data}},
         .inputs = {"patches"},
         .shape = {tokens_ - 1, dim_},
         .section = {{"patch_embed.output"}},
         .weight_section = {{"patch_embed.weight"}}});
    FloatTensor position = file_.Load("pos_embed", Shape{1, tokens_, dim_});
    position.shape = stream;
    Add({.name = "embed",
         .function =
             Positions{file_.Load("cls_token", Shape{1, 1, dim_}).data, std::move(position)},
         .inputs = {"patch_embed"},
         .shape = stream,
         .section = {{"embed"}},
         .stream = true});
  }

  // x + attention(norm1(x)), then + mlp(norm2(.)). Returns the stream behind the block.
  std::string Block(std::int64_t n, const std::string& stream) {
    block_ = static_cast<int>(n);
    const std::string p = fmt::format("blocks.{}.", n);
    const Shape tokens = {tokens_, dim_};
    const Shape scores = {heads_, tokens_, tokens_};
    const double divisor = std::sqrt(static_cast<double>(dim_ / heads_));

    scope_ = Scope::kAttention;
    Add({.name = p + "input",
         .function = Entry{},
         .inputs = {stream},
         .shape = tokens,
         .section = n == 0 ? SectionKey{"embed"} : SectionKey{"residual2", block_ - 1},
         .stream = true});
    Add({.name = p + "norm1",
         .function = LoadNorm(p + "norm1"),
         .inputs = {p + "input"},
         .shape = tokens,
         .section = Key("norm1")});
    AddLayer("attn_qkv", "attn.qkv", "norm1", 3 * dim_, dim_, parts_.qkv_bias, 3 * heads_);
    const auto part = [&](const char* name, std::int64_t index) {
      Add({.name = p + name,
           .function = Columns{index * dim_},
           .inputs = {p + "attn_qkv"},
           .shape = tokens,
           .section = Key(name),
           .heads = heads_});
    };
    part("attn_q_out", 0);
    part("attn_k_out", 1);
    part("attn_v_input", 2);
    Add({.name = p + "attn_kv_out",
         .function = Product{heads_, true, divisor},
         .inputs = {p + "attn_q_out", p + "attn_k_out"},
         .shape = scores,
         .section = Key("attn_kv_out"),
         .heads = heads_});
    Add({.name = p + "intSoft",
         .function = Softmax{},
         .inputs = {p + "attn_kv_out"},
         .shape = scores,
         .section = Key("intSoft"),
         .heads = heads_});
    Add({.name = p + "attn_v_out",
         .function = Product{heads_, false, 1},
         .inputs = {p + "intSoft", p + "attn_v_input"},
         .shape = tokens,
         .section = Key("attn_v_out"),
         .heads = heads_});
    AddLayer("attn_proj", "attn.proj", "attn_v_out", dim_, dim_);
    AddSum("residual1", "input", "attn_proj");

    scope_ = Scope::kBlock;
    Add({.name = p + "norm2",
         .function = LoadNorm(p + "norm2"),
         .inputs = {p + "residual1"},
         .shape = tokens,
         .section = Key("norm2")});
    AddLayer("mlp_fc1", "mlp.fc1", "norm2", hidden_, dim_);
    Add({.name = p + "mlp_gelu",
         .function = Gelu{},
         .inputs = {p + "mlp_fc1"},
         .shape = {tokens_, hidden_},
         .section = Key("mlp_gelu")});
    AddLayer("mlp_fc2", "mlp.fc2", "mlp_gelu", dim_, hidden_);
    AddSum("residual2", "residual1", "mlp_fc2");
    return p + "residual2";
  }

  // The class token's logits.
  void Head(const std::string& stream) {
    block_ = -1;
    ++part_;
    scope_ = Scope::kModel;
    Add({.name = "norm",
         .function = LoadNorm("norm"),
         .inputs = {stream},
         .shape = {tokens_, dim_},
         .section = {{"norm"}}});
    const std::int64_t classes =
        Agreed(manifest_.geometry.classes, ShapeOf("head.weight", 2)[0], "classes", "head.weight");
    Add({.name = "logits",
         .function = Projection{LoadLinear("head", classes, dim_), 1, "head"},
         .inputs = {"norm"},
         .shape = {1, classes},
         .section = {{"head.output"}},
         .weight_section = {{"head.weight"}}});
  }

  // ---- pieces ----

  SectionKey Key(const std::string& key) const { return {key, block_}; }

  void Add(Node node) {
    node.block = block_;
    node.part = block_ < 0 ? part_ : part_ = block_ + 1;
    node.scope = scope_;
    net_.Add(std::move(node));
  }

  // `heads`: groups of rows that share one weight scale under head_wise.
  void AddLayer(const std::string& name, const std::string& stored, const std::string& input,
                std::int64_t out, std::int64_t in, bool bias = true, std::int64_t heads = 1) {
    const std::string p = fmt::format("blocks.{}.", block_);
    Add({.name = p + name,
         .function = Projection{LoadLinear(p + stored, out, in, bias)},
         .inputs = {p + input},
         .shape = {tokens_, out},
         .section = Key(name + ".output"),
         .weight_section = Key(name + ".weight"),
         .heads = heads});
  }

  void AddSum(const std::string& name, const std::string& stream, const std::string& layer) {
    const std::string p = fmt::format("blocks.{}.", block_);
    Add({.name = p + name,
         .function = Sum{},
         .inputs = {p + layer, p + stream},
         .shape = {tokens_, dim_},
         .section = Key(name),
         .stream = true});
  }

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

  void ResolveGeometry() {
    const Geometry& stated = manifest_.geometry;
    const std::string first = "blocks.0.norm1.weight";
    dim_ = Agreed(stated.dim, ShapeOf(first, 1)[0], "dim", first);
    if (!stated.heads) {
      throw InputError(manifest_.path.string() +
                       ": heads is missing; weights do not tell the number of attention heads");
    }
    heads_ = *stated.heads;
    if (heads_ < 1 || dim_ % heads_ != 0) {
      throw InputError(fmt::format("{}: heads: {} does not divide dim {}", manifest_.path.string(),
                                   heads_, dim_));
    }
    if (parts_.patches) {
      ResolveImage(stated);
    } else if (stated.tokens) {
      tokens_ = *stated.tokens;
    } else {
      throw InputError(manifest_.path.string() + ": tokens is missing; token embeddings need it");
    }
    const std::string fc1 = "blocks.0.mlp.fc1.weight";
    hidden_ = Agreed(stated.mlp_hidden, ShapeOf(fc1, 2)[0], "mlp_hidden", fc1);
  }

  void ResolveImage(const Geometry& stated) {
    const std::string name = "patch_embed.proj.weight";
    const Shape& shape = ShapeOf(name, 4);
    channels_ = Agreed(stated.channels, shape[1], "channels", name);
    patch_ = Agreed(stated.patch, shape[2], "patch", name);
    const Shape& positions = ShapeOf("pos_embed", 3);
    tokens_ = Agreed(stated.tokens, positions[1], "tokens", "pos_embed");
    std::int64_t side = 0;
    while ((side + 1) * (side + 1) <= tokens_ - 1) ++side;
    if (side * side != tokens_ - 1) {
      Fail(fmt::format(
          "tensor 'pos_embed' has {} positions; a square image and a class token need n^2 + 1",
          tokens_));
    }
    size_ = Agreed(stated.image, side * patch_, "image", "pos_embed");
  }

  LayerNorm LoadNorm(const std::string& name) const {
    return {{file_.Load(name + ".weight", Shape{dim_}).data,
             file_.Load(name + ".bias", Shape{dim_}).data, manifest_.geometry.eps.value_or(1e-6)}};
  }

  Linear LoadLinear(const std::string& name, std::int64_t out, std::int64_t in,
                    bool has_bias = true) const {
    FloatTensor weight = file_.Load(name + ".weight", Shape{out, in});
    std::vector<float> bias(static_cast<std::size_t>(out), 0.0F);
    if (has_bias) bias = file_.Load(name + ".bias", Shape{out}).data;
    return {std::move(weight), std::move(bias)};
  }

  const Manifest& manifest_;
  Safetensors file_;
  NetworkParts parts_;
  Network net_;
  std::int64_t tokens_ = 0, dim_ = 0, heads_ = 0, hidden_ = 0;
  std::int64_t channels_ = 0, size_ = 0, patch_ = 0;  // of the image, pixels per side
  int block_ = -1, part_ = 0;
  Scope scope_ = Scope::kModel;
};

}  // namespace

Network LoadVit(const Manifest& manifest) { return Loader(manifest).Load(); }

}  // namespace qsim::network
