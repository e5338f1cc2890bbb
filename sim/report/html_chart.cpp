#include "sim/report/html_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/report/text_util.h"

namespace qsim {
namespace {

constexpr double kWidth = 1040;
constexpr double kLeft = 44;
constexpr double kRight = 8;
constexpr double kTop = 14;
constexpr double kPlotHeight = 200;
constexpr double kStepDb = 10;

struct Bar {
  const TapReport* tap = nullptr;
  BlockName name;
};

// The dB at the top and the bottom of the plot, multiples of kStepDb that include 0.
struct Scale {
  double low = 0;
  double high = 40;
  double Y(double db) const {
    const double clamped = std::clamp(db, low, high);
    return kTop + kPlotHeight * (high - clamped) / (high - low);
  }
};

Scale ScaleOf(const std::vector<Bar>& bars) {
  Scale scale;
  for (const Bar& bar : bars) {
    const double db = *bar.tap->qsnr_db;
    if (!std::isfinite(db)) continue;
    scale.low = std::min(scale.low, std::floor(db / kStepDb) * kStepDb);
    scale.high = std::max(scale.high, std::ceil(db / kStepDb) * kStepDb);
  }
  return scale;
}

std::string GridLines(const Scale& scale, double low_qsnr_db) {
  std::string out;
  for (double db = scale.low; db <= scale.high; db += kStepDb) {
    out += fmt::format(
        "<line class=\"{}\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text class=\"tick\" x=\"{}\" y=\"{:.1f}\">{:.0f}</text>\n",
        db == 0 ? "axis" : "grid", kLeft, kWidth - kRight, scale.Y(db), scale.Y(db), kLeft - 6,
        scale.Y(db) + 4, db);
  }
  out += fmt::format("<line class=\"target\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                     kLeft, kWidth - kRight, scale.Y(low_qsnr_db), scale.Y(low_qsnr_db));
  return out;
}

std::string BarSvg(const Bar& bar, const Scale& scale, double x, double width, double low_qsnr_db) {
  const TapReport& tap = *bar.tap;
  const double db = *tap.qsnr_db;
  const bool infinite = std::isinf(db);
  const double top = std::min(scale.Y(db), scale.Y(0));
  const double height = std::max(std::abs(scale.Y(db) - scale.Y(0)), 1.0);
  std::string_view css = "bar";
  if (!(db >= low_qsnr_db)) css = "bar low";
  if (tap.mismatches.value_or(0) != 0) css = "bar bad";
  std::string out = fmt::format(
      "<rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" rx=\"1.5\">"
      "<title>{}: {:.2f} dB</title></rect>\n",
      css, x, top, width, height, EscapeHtml(tap.name), db);
  if (infinite) {
    out += fmt::format("<text class=\"mark\" x=\"{:.2f}\" y=\"{:.1f}\">{}</text>\n", x + width / 2,
                       db > 0 ? kTop - 3 : kTop + kPlotHeight - 4, db > 0 ? "∞" : "−∞");
  }
  return out;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string QsnrChartSvg(const std::vector<TapReport>& taps, double low_qsnr_db) {
  std::vector<Bar> bars;
  for (const TapReport& tap : taps) {
    if (tap.qsnr_db) bars.push_back({&tap, SplitBlock(tap.name)});
  }
  if (bars.empty()) return "";
  const Scale scale = ScaleOf(bars);

  std::size_t groups = 1;
  for (std::size_t i = 1; i < bars.size(); ++i)
    if (bars[i].name.block != bars[i - 1].name.block) ++groups;
  // A group boundary is as wide as one bar; tap names are written below where bars are wide enough.
  const double slot =
      std::min((kWidth - kLeft - kRight) / static_cast<double>(bars.size() + groups), 48.0);
  const double bar_width = slot * 0.78;
  const bool label_bars = slot >= 11;
  const double label_height = label_bars ? 92 : 0;
  const double height = kTop + kPlotHeight + label_height + 26;

  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"QSNR in dB of every tap\">\n", kWidth,
      height);
  out += GridLines(scale, low_qsnr_db);
  double x = kLeft + slot / 2;
  double group_start = x;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    out += BarSvg(bars[i], scale, x + (slot - bar_width) / 2, bar_width, low_qsnr_db);
    if (label_bars) {
      const double label_x = x + slot / 2 + 4;
      const double label_y = kTop + kPlotHeight + 8;
      out += fmt::format(
          "<text class=\"name\" transform=\"translate({:.2f} {:.1f}) rotate(-90)\">{}</text>\n",
          label_x, label_y, EscapeHtml(Shorten(bars[i].name.rest, 15)));
    }
    x += slot;
    if (i + 1 == bars.size() || bars[i + 1].name.block != bars[i].name.block) {
      out += fmt::format("<text class=\"block\" x=\"{:.2f}\" y=\"{:.1f}\">{}</text>\n",
                         (group_start + x) / 2, height - 8, EscapeHtml(bars[i].name.block));
      x += slot;
      group_start = x;
    }
  }
  return out + "</svg>\n";
}

}  // namespace qsim
