// FQ-ViT's range estimators in their published form.
#include <gtest/gtest.h>

#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

TEST(ObserverConform, Minmax) { testing::ExpectCasesConform("observer", "fqvit_minmax"); }
TEST(ObserverConform, Ema) { testing::ExpectCasesConform("observer", "fqvit_ema"); }
TEST(ObserverConform, Percentile) { testing::ExpectCasesConform("observer", "fqvit_percentile"); }
TEST(ObserverConform, Omse) { testing::ExpectCasesConform("observer", "fqvit_omse"); }
TEST(ObserverConform, Ptf) { testing::ExpectCasesConform("observer", "fqvit_ptf"); }

}  // namespace
}  // namespace qsim::testing
