// Bundles that earlier versions wrote keep loading, every tap equal. data/format1 was written by
// qsim 0.1.0 (format 1) from a random network of one block, and data/format1_taps.sha256 lists its
// taps as that version's `qsim run` wrote them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "golden/kernels/fast_backend.h"
#include "golden/program/executor.h"
#include "sim/bundle/bundle.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/tensors/npy.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kData = fs::path(QSIM_SOURCE_DIR) / "tests/bundle/data";

IntTensor WithImageAxis(IntTensor tensor) {
  Shape shape = tensor.shape();
  shape.insert(shape.begin(), 1);
  return {std::move(shape), std::move(tensor.storage())};
}

IntTensor WithoutImageAxis(IntTensor tensor) {
  const Shape shape(tensor.shape().begin() + 1, tensor.shape().end());
  return {shape, std::move(tensor.storage())};
}

void ExpectFormerTaps(const Bundle& bundle, const fs::path& scratch) {
  std::ifstream list(kData / "format1_taps.sha256");
  std::map<std::string, std::string> former;
  for (std::string hash, file; list >> hash >> file;) former[file] = hash;
  ASSERT_EQ(bundle.images(), 1);
  TensorMap inputs;
  for (const auto& [name, tensor] : bundle.inputs) inputs[name] = WithoutImageAxis(tensor);
  FastBackend backend;
  const TensorMap taps = Execute(bundle.program, inputs, 0, backend);
  EXPECT_EQ(taps.size(), former.size());
  for (const auto& [name, tensor] : taps) {
    const fs::path file = scratch / (name + ".npy");
    WriteNpy(file, WithImageAxis(tensor));
    EXPECT_EQ(Sha256HexOfFile(file), former[name + ".npy"]) << name;
  }
}

TEST(Format1, LoadsWithEveryTapEqual) {
  testing::TempDir temp;
  const Bundle bundle = LoadBundle(kData / "format1");
  std::set<std::string_view> kinds;
  for (const Op& op : bundle.program.ops) kinds.insert(KindName(op));
  EXPECT_GE(kinds.size(), 9U);
  EXPECT_EQ(bundle.contracts.model.numerics.layernorm_eps, LayernormEps::kIgnore);
  ExpectFormerTaps(bundle, temp.path());
}

TEST(Format1, IsWrittenInTheFormatOfToday) {
  testing::TempDir temp;
  const Bundle bundle = LoadBundle(kData / "format1");
  {
    OutputDirectory output(temp.path() / "again");
    SaveBundle(bundle, output);
  }
  const Bundle again = LoadBundle(temp.path() / "again");
  EXPECT_EQ(again.program, bundle.program);
  EXPECT_EQ(again.scales, bundle.scales);
  ExpectFormerTaps(again, temp.path());
}

}  // namespace
}  // namespace qsim::testing
