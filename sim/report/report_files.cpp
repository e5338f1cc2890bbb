#include "sim/report/report_files.h"

#include "sim/io/files/atomic_file.h"
#include "sim/report/report_html.h"
#include "sim/report/report_json.h"

namespace qsim::report {

void WriteReportFiles(const RunReport& report, const Bundle& bundle,
                      const std::filesystem::path& directory) {
  WriteFileAtomically(directory / "report.json", RunReportJsonText(report));
  WriteFileAtomically(directory / "report.html", ReportHtml(report, bundle));
}

}  // namespace qsim::report
