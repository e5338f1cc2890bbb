// The files of sim/report/page and the plotting library, as they were when qsim was built.
#pragma once

#include <string_view>

namespace qsim::report::page {

std::string_view Style();     // page/*.css
std::string_view Script();    // page/*.js, in the order in which they depend on each other
std::string_view Plotting();  // Chart.js, minified, with its licence

}  // namespace qsim::report::page
