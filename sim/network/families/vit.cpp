#include "sim/network/families/vit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/network/families/activations.h"
#include "sim/network/families/checkpoint.h"
#include "sim/network/families/position_grid.h"
#include "sim/network/families/vit_tensors.h"

namespace qsim::network {
namespace {

constexpr double kUsualEps = 1e-6;

class Loader {
 public:
  explicit Loader(const Manifest& manifest)
      : manifest_(manifest),
        file_(manifest.model, NamingSchemes(),
              "vision transformer under names of timm, Hugging Face, torchvision or the original "
              "publications") {}

  Network Load() {
    RejectVariants(file_);
    const bool patches =
        manifest_.Calibration().images || (manifest_.evaluation && manifest_.evaluation->images);
    parts_ = PartsOf(file_, manifest_, patches);
    RequireTensors(file_, manifest_, parts_);
    ResolveGeometry();
    Embedding();
    std::string stream = "embed";
    if (parts_.norm_pre) {
      stream = "norm_pre";
      Add({.name = stream,
           .function = LoadNorm(stream),
           .inputs = {"embed"},
           .shape = {tokens_, dim_},
           .section = {{stream}},
           .stream = true});
    }
    for (std::int64_t n = 0; n < parts_.depth; ++n) stream = Block(n, stream);
    if (parts_.norm) stream = Features(stream);
    if (parts_.head) Head(stream);
    Notes();
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
    const std::int64_t patches = grid_ * grid_;
    Add({.name = "image",
         .function = Pixels{},
         .shape = {channels_, size_, size_},
         .compared = false});
    Add({.name = "patches",
         .function = Patches{patch_},
         .inputs = {"image"},
         .shape = {patches, depth},
         .compared = false});
    FloatTensor weight =
        file_.Load("patch_embed.proj.weight", Shape{dim_, channels_, patch_, patch_});
    weight.shape = {dim_, depth};
    Add({.name = "patch_embed",
         .function = Projection{{std::move(weight), PatchBias()}},
         .inputs = {"patches"},
         .shape = {patches, dim_},
         .section = {{"patch_embed.output"}},
         .weight_section = {{"patch_embed.weight"}}});
    Positions positions{{{0, dim_}, {}}, {stream, {}}};
    for (const FrontTensor& front : front_)
      Append(file_.Load(front.name, {front.rows, dim_}), positions.front);
    positions.position = PositionRows();
    Add({.name = "embed",
         .function = std::move(positions),
         .inputs = {"patch_embed"},
         .shape = stream,
         .section = {{"embed"}},
         .stream = true});
  }

  std::vector<float> PatchBias() const {
    const char* name = "patch_embed.proj.bias";
    if (parts_.norm_pre && !file_.Has(name))
      return std::vector<float>(static_cast<std::size_t>(dim_), 0.0F);
    return file_.Load(name, Shape{dim_}).data;
  }

  // Of every row, for the grid of patches that the image has.
  FloatTensor PositionRows() {
    FloatTensor stored = file_.Load("pos_embed", Shape{positioned_ + side_ * side_, dim_});
    const auto in_front = static_cast<std::ptrdiff_t>(positioned_ * dim_);
    FloatTensor rows{{0, dim_}, {stored.data.begin(), stored.data.begin() + in_front}};
    rows.data.resize(static_cast<std::size_t>(FrontRows() * dim_), 0.0F);
    FloatTensor grid{{side_ * side_, dim_}, {stored.data.begin() + in_front, stored.data.end()}};
    if (grid_ != side_) {
      const GridResampling how = ResamplingOf(file_.scheme());
      grid = ResampleGrid(grid, side_, grid_, how);
      Note(
          fmt::format("position embeddings of {0}x{0} patches are interpolated to {1}x{1}, images "
                      "of {2} (bicubic{3}, as {4} does)",
                      side_, grid_, size_, how.antialias ? ", antialiased" : "", how.whose));
    }
    rows.shape[0] = FrontRows();
    Append(grid, rows);
    return rows;
  }

  std::int64_t FrontRows() const {
    std::int64_t rows = 0;
    for (const FrontTensor& front : front_) rows += front.rows;
    return rows;
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
         .section = n == 0 ? SectionKey{stream} : SectionKey{"residual2", block_ - 1},
         .stream = true});
    Add({.name = p + "norm1",
         .function = LoadNorm(p + "norm1"),
         .inputs = {p + "input"},
         .shape = tokens,
         .section = Key("norm1")});
    AddLayer("attn_qkv", LoadStacked(p + "attn."), "norm1", 3 * heads_);
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
    AddLayer("attn_proj", LoadScaled(p + "attn.proj", dim_, p + "ls1.gamma"), "attn_v_out");
    AddSum("residual1", "input", "attn_proj");

    scope_ = Scope::kBlock;
    Add({.name = p + "norm2",
         .function = LoadNorm(p + "norm2"),
         .inputs = {p + "residual1"},
         .shape = tokens,
         .section = Key("norm2")});
    AddLayer("mlp_fc1", LoadLinear(p + "mlp.fc1", hidden_, dim_), "norm2");
    Add({.name = p + "mlp_gelu",
         .function = activation_,
         .inputs = {p + "mlp_fc1"},
         .shape = {tokens_, hidden_},
         .section = Key("mlp_gelu")});
    AddLayer("mlp_fc2", LoadScaled(p + "mlp.fc2", hidden_, p + "ls2.gamma"), "mlp_gelu");
    AddSum("residual2", "residual1", "mlp_fc2");
    return p + "residual2";
  }

  // The network's end where there is no head: the normalised tokens, or their mean. timm takes the
  // mean first where the norm is called fc_norm.
  std::string Features(const std::string& stream) {
    block_ = -1;
    ++part_;
    scope_ = Scope::kModel;
    const bool first = parts_.pooled && parts_.norm_name == "fc_norm";
    const std::string pool = first ? MeanOfPatches("pool", stream) : stream;
    Add({.name = "norm",
         .function = LoadNorm(std::string(parts_.norm_name)),
         .inputs = {pool},
         .shape = {first ? 1 : tokens_, dim_},
         .section = {{"norm"}}});
    return parts_.pooled && !first ? MeanOfPatches("norm_pool", "norm") : "norm";
  }

  std::string MeanOfPatches(const std::string& name, const std::string& tokens) {
    Add({.name = name,
         .function = MeanRows{FrontRows()},
         .inputs = {tokens},
         .shape = {1, dim_},
         .section = {{name}}});
    Note(fmt::format("the mean of the patches, rows {} to {}, goes on behind the last block",
                     FrontRows(), tokens_ - 1));
    return name;
  }

  // The logits: of the class token or of the mean of the patches; or the mean of two heads, on the
  // class token and on the distillation token behind it.
  void Head(const std::string& features) {
    const std::int64_t in = file_.ShapeOf("head.weight").back();
    if (in == 2 * dim_) {
      Fail(
          fmt::format("tensor '{}' reads {} channels: the class token beside the mean of the "
                      "patches, which is not supported",
                      file_.Stored("head.weight"), in));
    }
    const std::int64_t classes =
        Agreed("classes", manifest_.geometry.classes, RowsOf("head.weight"), "head.weight");
    const auto head = [&](const std::string& name, const std::string& layer, float factor,
                          std::int64_t row) {
      Linear linear = LoadLinear(layer, classes, dim_);
      for (std::vector<float>* values : {&linear.weight.data, &linear.bias})
        for (float& value : *values) value *= factor;
      Add({.name = name,
           .function = Projection{std::move(linear), 1, layer, row},
           .inputs = {features},
           .shape = {1, classes},
           .section = {{layer + ".output"}},
           .weight_section = {{layer + ".weight"}}});
    };
    if (!parts_.head_dist) return head("logits", "head", 1, 0);
    head("head", "head", 0.5F, 0);
    head("head_dist", "head_dist", 0.5F, 1);
    Add({.name = "logits",
         .function = Sum{},
         .inputs = {"head_dist", "head"},
         .shape = {1, classes}});
    Note("the logits are the mean of two heads, on the class and on the distillation token");
  }

  // What a reader must know who has only the file.
  void Notes() {
    if (!file_.prefix().empty())
      Note(fmt::format("every tensor's name begins with '{}', which is left out", file_.prefix()));
    if (&file_.scheme() != &NamingSchemes().front())
      Note(fmt::format("tensors are named as by {}", file_.scheme().owner));
    std::vector<std::string> without;
    for (const char* part : {"attn.q.bias", "attn.k.bias", "attn.v.bias"}) {
      if (!parts_.optional.contains(part)) without.push_back(part);
    }
    if (without.size() == 1 || without.size() == 2)
      Note(fmt::format("no {} in any block: 0", fmt::join(without, ", ")));
    if (parts_.patches && !file_.Has("patch_embed.proj.bias")) Note("no patch_embed.proj.bias: 0");
    if (parts_.optional.contains("ls1.gamma") || parts_.optional.contains("ls2.gamma"))
      Note("LayerScale is multiplied into the weights of attn_proj and mlp_fc2");
    if (!parts_.head)
      Note(fmt::format("no head: the network ends in features, '{}'", net_.nodes().back().name));
    if (!manifest_.geometry.eps)
      Note(fmt::format("nothing states the layer norms' eps: {} is assumed", kUsualEps));
    if (!manifest_.geometry.activation) Note("nothing states the activation: gelu is assumed");
    for (const std::string& line : LeftOut(file_, manifest_, parts_)) Note(line);
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
  void AddLayer(const std::string& name, Linear layer, const std::string& input,
                std::int64_t heads = 1) {
    const std::string p = fmt::format("blocks.{}.", block_);
    const std::int64_t out = layer.out_features();
    Add({.name = p + name,
         .function = Projection{std::move(layer)},
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

  void Note(std::string text) { net_.notes.push_back(std::move(text)); }

  // A dimension that manifest and tensors may both state: they must agree.
  std::int64_t Agreed(const char* what, const std::optional<std::int64_t>& stated,
                      std::int64_t stored, const std::string& tensor) const {
    if (stated && *stated != stored) {
      throw InputError(fmt::format("{}: {} is {}, but tensor '{}' of {} says {}",
                                   manifest_.Origin(what), what, *stated, file_.Stored(tensor),
                                   manifest_.model.string(), stored));
    }
    return stored;
  }

  Shape ShapeOf(const std::string& name, std::size_t rank) const {
    Shape shape = file_.ShapeOf(name);
    if (shape.size() != rank) {
      Fail(fmt::format("tensor '{}' has {} dimensions, expected {}", file_.Stored(name),
                       shape.size(), rank));
    }
    return shape;
  }

  // Of a tensor of rows of dim_ channels.
  std::int64_t RowsOf(const std::string& name) const {
    return ElementCount(file_.ShapeOf(name)) / dim_;
  }

  void ResolveGeometry() {
    const Geometry& stated = manifest_.geometry;
    const std::string first = "blocks.0.norm1.weight";
    dim_ = Agreed("dim", stated.dim, ShapeOf(first, 1)[0], first);
    if (!stated.heads) {
      throw InputError(fmt::format(
          "{}: heads is missing; weights do not tell the number of attention heads{}",
          manifest_.path.string(),
          dim_ % 64 == 0 ? fmt::format(" (of {} channels most models have {})", dim_, dim_ / 64)
                         : ""));
    }
    heads_ = *stated.heads;
    if (heads_ < 1 || dim_ % heads_ != 0) {
      throw InputError(fmt::format("{}: heads: {} does not divide dim {}",
                                   manifest_.Origin("heads"), heads_, dim_));
    }
    for (const char* front : {"cls_token", "dist_token", "reg_token"}) {
      if (file_.Has(front)) front_.push_back({front, RowsOf(front)});
    }
    if (parts_.patches) {
      ResolveImage(stated);
    } else if (stated.tokens) {
      tokens_ = *stated.tokens;
    } else {
      throw InputError(manifest_.path.string() + ": tokens is missing; token embeddings need it");
    }
    const std::string fc1 = "blocks.0.mlp.fc1.weight";
    hidden_ = Agreed("mlp_hidden", stated.mlp_hidden, ShapeOf(fc1, 2)[0], fc1);
    if (stated.activation) activation_ = ActivationNamed(*stated.activation, manifest_);
  }

  void ResolveImage(const Geometry& stated) {
    const std::string name = "patch_embed.proj.weight";
    const Shape& shape = file_.file().ShapeOf(file_.Stored(name));
    if (shape.size() != 4)
      Fail(fmt::format("tensor '{}' has {} dimensions, expected 4", file_.Stored(name),
                       shape.size()));
    channels_ = Agreed("channels", stated.channels, shape[1], name);
    patch_ = Agreed("patch", stated.patch, shape[2], name);
    std::int64_t tokens = 0;  // class token and its like; registers may have no positions
    for (const FrontTensor& front : front_) {
      if (front.name != "reg_token") tokens += front.rows;
    }
    const std::int64_t positions = RowsOf("pos_embed");
    const std::int64_t wanted =
        stated.image && *stated.image % patch_ == 0 ? *stated.image / patch_ : 0;
    for (const std::int64_t positioned : {tokens, FrontRows(), std::int64_t{0}}) {
      const std::int64_t side = RootOf(positions - positioned);
      if (side == 0 || (side_ != 0 && side != wanted)) continue;
      side_ = side;
      positioned_ = positioned;
      if (side == wanted) break;
    }
    if (side_ == 0) {
      Fail(
          fmt::format("tensor '{}' has {} positions; a square image and {} tokens in front of its "
                      "patches need n^2 + {}",
                      file_.Stored("pos_embed"), positions, FrontRows(), FrontRows()));
    }
    size_ = stated.image.value_or(side_ * patch_);
    if (size_ % patch_ != 0) {
      throw InputError(
          fmt::format("{}: patch ({}) must divide image ({}); {} fits, or any other "
                      "multiple of {}",
                      manifest_.Origin("image"), patch_, size_, side_ * patch_, patch_));
    }
    grid_ = size_ / patch_;
    tokens_ = FrontRows() + grid_ * grid_;
    Agreed("tokens", stated.tokens, tokens_, "pos_embed");
  }

  // Of a square, else 0.
  static std::int64_t RootOf(std::int64_t square) {
    std::int64_t side = 0;
    while ((side + 1) * (side + 1) <= square) ++side;
    return side * side == square ? side : 0;
  }

  static void Append(const FloatTensor& rows, FloatTensor& to) {
    to.shape[0] += rows.shape[0];
    to.data.insert(to.data.end(), rows.data.begin(), rows.data.end());
  }

  LayerNorm LoadNorm(const std::string& name) const {
    return {{file_.Load(name + ".weight", Shape{dim_}).data,
             file_.Load(name + ".bias", Shape{dim_}).data,
             manifest_.geometry.eps.value_or(kUsualEps)}};
  }

  Linear LoadLinear(const std::string& name, std::int64_t out, std::int64_t in) const {
    return {file_.Load(name + ".weight", Shape{out, in}), file_.Load(name + ".bias", {out}).data};
  }

  // A layer behind which LayerScale multiplies each channel.
  Linear LoadScaled(const std::string& name, std::int64_t in, const std::string& scale) const {
    Linear layer = LoadLinear(name, dim_, in);
    if (!file_.Has(scale)) return layer;
    const std::vector<float> gamma = file_.Load(scale, {dim_}).data;
    for (std::size_t i = 0; i < layer.weight.data.size(); ++i)
      layer.weight.data[i] *= gamma[i / static_cast<std::size_t>(in)];
    for (std::size_t c = 0; c < gamma.size(); ++c) layer.bias[c] *= gamma[c];
    return layer;
  }

  // Queries, keys and values, which files have stacked or apart; a bias that is not there is 0.
  Linear LoadStacked(const std::string& p) const {
    Linear layer{{{0, dim_}, {}}, {}};
    if (file_.Has(p + "qkv.weight"))
      Append(file_.Load(p + "qkv.weight", {3 * dim_, dim_}), layer.weight);
    if (file_.Has(p + "qkv.bias")) layer.bias = file_.Load(p + "qkv.bias", {3 * dim_}).data;
    const bool apart = layer.weight.data.empty(), biases_apart = layer.bias.empty();
    for (const char* part : {"q", "k", "v"}) {
      if (apart) Append(file_.Load(p + part + ".weight", {dim_, dim_}), layer.weight);
      if (!biases_apart) continue;
      std::vector<float> bias(static_cast<std::size_t>(dim_), 0.0F);
      const std::string name = p + part + ".bias";
      if (file_.Has(name)) bias = file_.Load(name, {dim_}).data;
      layer.bias.insert(layer.bias.end(), bias.begin(), bias.end());
    }
    return layer;
  }

  struct FrontTensor {
    std::string name;
    std::int64_t rows = 0;
  };

  const Manifest& manifest_;
  Checkpoint file_;
  NetworkParts parts_;
  Network net_;
  std::int64_t tokens_ = 0, dim_ = 0, heads_ = 0, hidden_ = 0;
  std::int64_t channels_ = 0, size_ = 0, patch_ = 0;  // of the image, pixels per side
  std::int64_t side_ = 0, grid_ = 0;  // patches per side: of the stored positions, of the image
  std::vector<FrontTensor> front_;    // rows in front of the patches
  std::int64_t positioned_ = 0;       // how many of them have stored positions
  Function activation_ = Gelu{};
  int block_ = -1, part_ = 0;
  Scope scope_ = Scope::kModel;
};

}  // namespace

Network LoadVit(const Manifest& manifest) { return Loader(manifest).Load(); }

}  // namespace qsim::network
