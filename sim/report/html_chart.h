// The SVG chart of report.html.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/report/run_report.h"

namespace qsim {

std::string EscapeHtml(std::string_view text);

// QSNR of every tap that has one, in program order, as bars grouped by block; "" when no tap has
// one. Infinite values reach the top of the chart and are labelled.
std::string QsnrChartSvg(const std::vector<TapReport>& taps, double low_qsnr_db);

}  // namespace qsim
