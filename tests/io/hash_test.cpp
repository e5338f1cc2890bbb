#include "sim/io/files/hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using testing::TempDir;
using testing::WriteBytes;

// NIST, "Examples with Intermediate Values" and the FIPS 180-4 long message.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256Test, PublishedVectors) {
  EXPECT_EQ(Sha256Hex("abc"), kAbc);
  EXPECT_EQ(Sha256Hex(""), kEmpty);
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(
      Sha256Hex(
          "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklm"
          "nopqrlmnopqrsmnopqrstnopqrstu"),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesHashAsTheWhole) {
  const std::string text(300, 'x');
  const std::string whole = Sha256Hex(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 hash;
    hash.Update(text.substr(0, cut));
    hash.Update(text.substr(cut));
    ASSERT_EQ(hash.Finish(), whole) << cut;
  }
}

TEST(Sha256Test, FilesHashAsTheirBytes) {
  const TempDir dir;
  const std::string large(200'000, 'q');
  WriteBytes(dir.path() / "empty", "");
  WriteBytes(dir.path() / "large", large);
  EXPECT_EQ(Sha256HexOfFile(dir.path() / "empty"), kEmpty);
  EXPECT_EQ(Sha256HexOfFile(dir.path() / "large"), Sha256Hex(large));
  EXPECT_THAT(ErrorOf([&] { Sha256HexOfFile(dir.path() / "absent"); }),
              ::testing::HasSubstr("absent: cannot be opened"));
}

}  // namespace
}  // namespace qsim::testing
