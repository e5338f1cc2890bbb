// The words of a configuration follow from the network; for vision transformers they are a table,
// because files are read before there is a network.
#include <gtest/gtest.h>

#include <set>

#include "sim/config/defaults.h"
#include "sim/network/families/vit.h"
#include "tests/namespaces.h"
#include "tests/support/checkpoints.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// A network has what every one has, in the table's order and meaning, and maybe some of the rest.
void ExpectKnown(const Items& items, const std::set<std::string>& others) {
  const TempDir dir;
  WriteCheckpoint(dir.path(), items);
  WriteBytes(dir.path() / "manifest.yaml",
             "model: model.safetensors\nheads: 2\nmean: 0.3\nstd: 0.4\n"
             "calibration: {images: none.npy}\n" +
                 std::string(others.contains("norm_pool") ? "pool: avg\n" : ""));
  const Sections derived = network::LoadVit(Manifest::Load(dir.path())).Vocabulary();
  auto kind = derived.begin();
  for (SectionKind known : VitSections()) {
    if (known.presence == Presence::kFew && !others.contains(known.key)) continue;
    known.presence = Presence::kEvery;
    ASSERT_NE(kind, derived.end()) << known.key;
    if (known.key == "embed") known.enters_block = !others.contains("norm_pre");
    // The mean of its rows passes its factors on.
    if (known.key == "norm") known.absorbed = !others.contains("norm_pool");
    // The first of two heads has a grid of its own.
    if (known.key == "head.output" && others.contains("head_dist.output"))
      known.tensor = "head.quant";
    EXPECT_EQ(*kind++, known) << known.key;
  }
  EXPECT_EQ(kind, derived.end());
}

TEST(Vocabulary, IsTheOneOfVisionTransformers) {
  ExpectKnown(Shipped(), {});
  ExpectKnown(Shipped(), {"norm_pool"});
  ExpectKnown(Renamed(Shipped(), {{"^norm", "fc_norm"}}), {"pool"});
  ExpectKnown(WithNormBefore(Shipped()), {"norm_pre"});
  ExpectKnown(Distilled(Shipped()), {"head_dist.weight", "head_dist.output"});
}

}  // namespace
}  // namespace qsim::testing
