// Files as other people's tools write them, of the shared cases: the same values, or one line that
// says what the file is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "sim/io/tensors/tensor_file.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using testing::ErrorOf;
using ::testing::HasSubstr;

class SharedFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto shared = SharedDir();
    if (!shared || !fs::is_directory(*shared / "cases" / "files_npy"))
      GTEST_SKIP() << "no shared cases";
    cases_ = *shared / "cases";
  }
  fs::path cases_;
};

TEST_F(SharedFiles, ReadmemhFormsAreReadOrNamed) {
  const std::map<std::string, std::string> refused = {
      {"0x_prefix.memh", "1: '0x00': $readmemh takes this x for an unknown digit"},
      {"bom.memh", "1: '\\xef\\xbb\\xbf00': a byte order mark"},
      {"plain.coe", "plain.coe: a coe file of an FPGA vendor"},
      {"plain.mif", "plain.mif: a mif file of an FPGA vendor"},
      {"srecord_hash.memh", "1: '#': '#' begins no comment"},
      {"x_digit.memh", "8: 'xx': digit x"},
  };
  const fs::path folder = cases_ / "files_readmemh";
  const auto form = StatedForm(folder / "ref.npy");
  const IntTensor expected = ReadIntNpy(folder / "ref.npy");
  std::size_t read = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == "ref.npy" || name == "side.json") continue;
    const auto bad = refused.find(name);
    if (bad != refused.end()) {
      EXPECT_THAT(ErrorOf([&] { ReadTensorFile(entry.path(), form); }), HasSubstr(bad->second))
          << name;
      continue;
    }
    EXPECT_EQ(std::get<IntTensor>(ReadTensorFile(entry.path(), form).tensor), expected) << name;
    ++read;
    // The same beside a sidecar.
    TempDir dir;
    const fs::path copy = dir.path() / name;
    fs::copy_file(entry.path(), copy);
    fs::copy_file(folder / "side.json", copy.string() + ".json");
    EXPECT_EQ(std::get<IntTensor>(ReadTensorFile(copy).tensor), expected) << name;
  }
  EXPECT_EQ(read, 19u);
}

TEST_F(SharedFiles, PackedRowsAreCutIntoLanes) {
  const fs::path folder = cases_ / "files_packed_lanes";
  EXPECT_EQ(std::get<IntTensor>(
                ReadTensorFile(folder / "rows.memh", StatedForm(folder / "rows.npy")).tensor),
            ReadIntNpy(folder / "rows.npy"));
  EXPECT_EQ(std::get<IntTensor>(ReadTensorFile(folder / "acc.memh").tensor),
            ReadIntNpy(folder / "acc.npy"));
  TempDir dir;
  const fs::path rows = dir.path() / "rows.memh";
  fs::copy_file(folder / "rows.memh", rows);
  WriteBytes(rows.string() + ".json",
             R"({"name":"rows","shape":[4,8],"dtype":"int8","bits":8,"signed":true,"lanes":8})");
  EXPECT_EQ(std::get<IntTensor>(ReadTensorFile(rows).tensor), ReadIntNpy(folder / "rows.npy"));
}

TEST_F(SharedFiles, NumpysFilesAreReadOrNamed) {
  const fs::path folder = cases_ / "files_npy";
  const std::map<std::string, std::string> refused = {
      {"arr.npz", "an archive of arrays; save one by numpy.save"},
      {"object.npy", "dtype '|O' is not supported (Python objects)"},
      {"u64.npy", "18446744073709551604 at [0, 0, 0] is beyond int64; save it as a.astype("},
      {"rec.npy", "a structured dtype; save one field: numpy.save(path, a['name'])"},
  };
  const IntTensor reference = ReadIntNpy(folder / "ref.npy");
  std::size_t equal = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const auto bad = refused.find(name);
    if (bad != refused.end()) {
      EXPECT_THAT(ErrorOf([&] { ReadTensorFile(entry.path()); }), HasSubstr(bad->second)) << name;
      continue;
    }
    const TensorFile file = ReadTensorFile(entry.path());
    const auto& ints = std::get<IntTensor>(file.tensor);
    // Others hold other values.
    if (ints.shape() != reference.shape() || name == "bool.npy" || name == "u32.npy") continue;
    for (std::int64_t i = 0; i < ints.size(); ++i)
      ASSERT_EQ(ints.At(i), reference.At(i)) << name << " at " << i;
    ++equal;
  }
  EXPECT_EQ(equal, 12u);
}

}  // namespace
}  // namespace qsim::testing
