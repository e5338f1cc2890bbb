#include "sim/sweep/search_moves.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <variant>

namespace qsim::sweep {
namespace {

constexpr int kWide = 16;  // bits of what no product reads

// One section of the configuration that some tensor of the program has.
struct Live {
  std::string key;
  const network::Node* node = nullptr;  // the first that has it
  Section section;
  bool weight = false;

  template <typename F>
  bool Is() const {
    return !weight && std::holds_alternative<F>(node->function);
  }
};

class Moves {
 public:
  explicit Moves(const Plan& plan) : plan_(plan) {
    for (const NodePlan& node : plan.nodes()) {
      if (node.section && node.node->section)
        Add({node.node->section->key, node.node, *node.section, false});
      if (node.weight) Add({node.node->weight_section->key, node.node, *node.weight, true});
    }
  }

  std::vector<SearchMove> All() {
    Algorithms();
    Together("every activation with a zero point", "bit_type.symmetric=False",
             [](const Live& live) { return IsOperand(live) && !live.section.has_zero_point; });
    Wider();
    Together("every norm smoothed, 0.5", "smooth=0.5", [](const Live& live) {
      return live.Is<network::LayerNorm>() && CanSmooth(live.section);
    });
    Each("smoothed, 0.5", "smooth=0.5",
         [](const Live& live) { return live.Is<network::Columns>() && CanSmooth(live.section); });
    Each("outlier channels apart, 0.01", "outlier_channels=0.01", [](const Live& live) {
      return live.Is<network::Gelu>() && live.section.outlier_channels == 0 &&
             !ChannelWise(live.section);
    });
    Each("a scale for each output channel", "calibration_mode=channel_wise",
         [](const Live& live) { return live.weight && !ChannelWise(live.section); });
    Each("the range of least error", "observer_type=HistogramOmseObserver", IsRanged);
    Each("a scale for each head", "calibration_mode=head_wise", [](const Live& live) {
      return IsOperand(live) && live.node->heads > 1 && IsLayerWise(live.section);
    });
    Together("biases corrected", "bias_correction=True",
             [](const Live& live) { return live.weight && !live.section.bias_correction; });
    Together("weights rounded so that errors cancel", "rounding=squant", [](const Live& live) {
      return live.weight && live.section.rounding == WeightRounding::kNearest;
    });
    for (const char* exponent : {"0.65", "0.35", "0.8"}) {
      Each(fmt::format("smoothed, {}", exponent), fmt::format("smooth={}", exponent),
           [](const Live& live) {
             return live.Is<network::LayerNorm>() && live.node->block >= 0 &&
                    CanSmooth(live.section);
           });
    }
    Each("factors between channels", "calibration_mode=channel_wise", [](const Live& live) {
      return live.Is<network::Columns>() && !ChannelWise(live.section);
    });
    for (const char* share : {"0.9999", "0.99999"}) {
      EachOf(
          fmt::format("the range of a share of {}", share),
          {"observer_type=HistogramPercentileObserver", fmt::format("percentile_alpha={}", share)},
          IsRanged);
    }
    // Last: each row of the weights is searched, in this change and in all that follow it.
    Each("the range of least error", "observer_type=HistogramOmseObserver",
         [](const Live& live) { return live.weight; });
    return std::move(moves_);
  }

 private:
  using Wanted = std::function<bool(const Live&)>;

  static bool IsLayerWise(const Section& section) {
    return section.calibration_mode == CalibrationMode::kLayerWise;
  }
  static bool CanSmooth(const Section& section) {
    return section.smooth == 0 && !ChannelWise(section);
  }
  // Of what the array multiplies, or a table reads; the stream is wide.
  static bool IsOperand(const Live& live) {
    return !live.weight && !live.node->stream && !live.Is<network::Softmax>();
  }
  static bool IsRanged(const Live& live) {
    return IsOperand(live) && live.section.observer == ObserverKind::kMinmax;
  }

  // Its readers are functions that take wide codes, a table or an exponential, and no products.
  bool FeedsFunction(const Live& live) const {
    if (live.weight || live.node->stream) return false;
    const std::vector<const NodePlan*> readers = plan_.ReadersOf(live.node->name);
    return !readers.empty() && std::all_of(readers.begin(), readers.end(), [](const NodePlan* r) {
      const network::Function& of = r->node->function;
      return std::holds_alternative<network::Softmax>(of) ||
             std::holds_alternative<network::Gelu>(of) ||
             std::holds_alternative<network::Elementwise>(of);
    });
  }

  void Add(Live live) {
    const auto same = [&](const Live& other) { return other.key == live.key; };
    if (std::none_of(live_.begin(), live_.end(), same)) live_.push_back(std::move(live));
  }

  void Algorithms() {
    const bool softmax = std::any_of(live_.begin(), live_.end(),
                                     [](const Live& live) { return live.Is<network::Softmax>(); });
    if (!softmax) return;
    moves_.push_back({"softmax table", {"numerics.softmax=table"}, true});
    moves_.push_back(
        {"softmax divided after the product", {"numerics.softmax_division=after"}, true});
    moves_.push_back({"softmax table, divided after the product",
                      {"numerics.softmax=table", "numerics.softmax_division=after"},
                      true});
  }

  // Of what functions read: no operand of the array becomes wider.
  void Wider() {
    for (const Live& live : live_) {
      if (!FeedsFunction(live) || live.section.bits >= kWide) continue;
      moves_.push_back({fmt::format("{}: {} bits, which a function reads", live.key, kWide),
                        {fmt::format("{}.bit_type.bits={}", live.key, kWide)},
                        true});
    }
  }

  void Together(const std::string& name, const std::string& setting, const Wanted& wanted) {
    SearchMove move{name, {}, true};
    for (const Live& live : live_) {
      if (wanted(live)) move.settings.push_back(live.key + "." + setting);
    }
    if (!move.settings.empty()) moves_.push_back(std::move(move));
  }

  void Each(const std::string& name, const std::string& setting, const Wanted& wanted) {
    EachOf(name, {setting}, wanted);
  }
  void EachOf(const std::string& name, const std::vector<std::string>& settings,
              const Wanted& wanted) {
    for (const Live& live : live_) {
      if (!wanted(live)) continue;
      SearchMove move{live.key + ": " + name, {}, live.node->block < 0};
      for (const std::string& setting : settings) move.settings.push_back(live.key + "." + setting);
      moves_.push_back(std::move(move));
    }
  }

  const Plan& plan_;
  std::vector<Live> live_;
  std::vector<SearchMove> moves_;
};

}  // namespace

std::vector<SearchMove> MovesFor(const Plan& plan) { return Moves(plan).All(); }

}  // namespace qsim::sweep
