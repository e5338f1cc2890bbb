// The words of a configuration follow from the network; for vision transformers they are a table,
// because files are read before there is a network.
#include <gtest/gtest.h>

#include "sim/config/defaults.h"
#include "sim/network/families/vit.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

TEST(Vocabulary, IsTheOneOfVisionTransformers) {
  const network::Network model =
      network::LoadVit(Manifest::Load(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors"));
  const Sections derived = model.Vocabulary();
  auto kind = derived.begin();
  for (const SectionKind& known : VitSections()) {
    ASSERT_NE(kind, derived.end()) << known.key;
    EXPECT_EQ(*kind++, known) << known.key;
  }
  EXPECT_EQ(kind, derived.end());
}

}  // namespace
}  // namespace qsim::testing
