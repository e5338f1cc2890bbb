#include "sim/io/files/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "sim/io/files/output_directory.h"
#include "sim/io/files/result_list.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using testing::ErrorOf;
using testing::FilesIn;
using ::testing::HasSubstr;
using testing::ReadBytes;
using testing::TempDir;
using testing::WriteBytes;

// Writes beyond `bytes` fail as on a full disk (with EFBIG), for as long as the object lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

TEST(AtomicFileTest, AppearsOnCommitOnly) {
  const TempDir dir;
  const fs::path path = dir.path() / "with a space.txt";
  WriteBytes(path, "old");
  {
    AtomicFile file(path);
    file.Write("new");
    EXPECT_EQ(ReadBytes(path), "old");
  }
  EXPECT_EQ(ReadBytes(path), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
  AtomicFile file(path);
  file.Write("new");
  file.Commit();
  EXPECT_EQ(ReadBytes(path), "new");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(AtomicFileTest, FullDiskLeavesTheOldContent) {
  const TempDir dir;
  const fs::path path = dir.path() / "a.txt";
  WriteBytes(path, "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = ErrorOf([&] { WriteFileAtomically(path, std::string(5000, 'x')); });
  }
  EXPECT_THAT(message, HasSubstr("a.txt: cannot be written: "));
  EXPECT_EQ(ReadBytes(path), "old");
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(AtomicFileTest, FollowsSymbolicLinks) {
  const TempDir dir;
  WriteBytes(dir.path() / "target", "old");
  fs::create_symlink("target", dir.path() / "link");
  WriteFileAtomically(dir.path() / "link", "new");
  EXPECT_TRUE(fs::is_symlink(dir.path() / "link"));
  EXPECT_EQ(ReadBytes(dir.path() / "target"), "new");
}

TEST(AtomicFileTest, RefusesWhatIsNotAFile) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir.path() / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically(dir.path() / "pipe", "x"); }),
              HasSubstr("pipe: cannot be written: is not a regular file"));
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically(dir.path(), "x"); }), HasSubstr("is a directory"));
  WriteBytes(dir.path() / "file", "x");
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically(dir.path() / "file" / "a", "x"); }),
              HasSubstr("cannot be written"));
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically("", "x"); }), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically("/", "x"); }), HasSubstr("cannot be written"));
  EXPECT_EQ(FilesIn(dir.path()), 2u);
}

TEST(OutputDirectoryTest, AppearsOnCommitOnly) {
  const TempDir dir;
  const fs::path path = dir.path() / "a" / "b" / "result";
  {
    OutputDirectory out(path);
    WriteBytes(out.path() / "x", "1");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_EQ(FilesIn(dir.path()), 0u);  // the parents it created are gone too
  OutputDirectory out(path);
  WriteBytes(out.path() / "x", "1");
  out.Commit();
  EXPECT_EQ(ReadBytes(path / "x"), "1");
  EXPECT_EQ(FilesIn(path.parent_path()), 1u);
}

TEST(OutputDirectoryTest, ReplacesItsOwnResultAsAWhole) {
  const TempDir dir;
  const fs::path path = dir.path() / "result";
  for (const char* name : {"first", "second", "third"}) {
    OutputDirectory out(path / "");  // a trailing slash names the same directory
    WriteBytes(out.path() / name, "x");
    fs::create_directory(out.path() / "sub");
    out.Commit();
    EXPECT_TRUE(fs::exists(path / name));
    EXPECT_EQ(FilesIn(path), 3u) << name;  // the file, sub and the marker
    EXPECT_EQ(FilesIn(dir.path()), 1u) << name;
  }
  {
    OutputDirectory abandoned(path);
    WriteBytes(abandoned.path() / "fourth", "x");
  }
  EXPECT_TRUE(fs::exists(path / "third"));
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(OutputDirectoryTest, TakesAnEmptyDirectoryAndALinkToOne) {
  const TempDir dir;
  fs::create_directory(dir.path() / "empty");
  fs::create_directory_symlink("empty", dir.path() / "link");
  OutputDirectory out(dir.path() / "link");
  WriteBytes(out.path() / "x", "1");
  out.Commit();
  EXPECT_EQ(ReadBytes(dir.path() / "empty" / "x"), "1");
  EXPECT_TRUE(fs::is_symlink(dir.path() / "link"));
}

TEST(OutputDirectoryTest, RefusesForeignThings) {
  const TempDir dir;
  WriteBytes(dir.path() / "file", "precious");
  fs::create_directory(dir.path() / "home");
  WriteBytes(dir.path() / "home" / "thesis.txt", "precious");
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(dir.path() / "file"); }),
              HasSubstr("file: exists and is not a directory"));
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(dir.path() / "home"); }),
              HasSubstr("home: is not empty and was not written by qsim"));
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(dir.path() / "file" / "x"); }),
              HasSubstr("cannot be"));
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out("/proc/qsim-result"); }),
              HasSubstr("cannot be created"));
  EXPECT_EQ(FilesIn(dir.path()), 2u);
  EXPECT_EQ(ReadBytes(dir.path() / "home" / "thesis.txt"), "precious");
}

TEST(OutputDirectoryTest, ReplacesNothingThatIsNotInItsList) {
  const TempDir dir;
  const fs::path path = dir.path() / "result";
  {
    OutputDirectory out(path);
    WriteBytes(out.path() / "x", "1");
    out.Commit();
  }
  fs::create_directory(path / "notes");
  WriteBytes(path / "notes" / "thesis.txt", "precious");
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(path); }),
              HasSubstr("result/notes/thesis.txt: was not written by qsim and would be lost"));
  fs::remove(path / "notes" / "thesis.txt");
  fs::create_symlink("/etc/passwd", path / "link");
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(path); }), HasSubstr("result/link"));
  fs::remove(path / "link");
  WriteBytes(path / kResultMarker, "A result directory written by qsim.\n");
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(path); }), HasSubstr("has no list of its files"));
  EXPECT_EQ(ReadBytes(path / "x"), "1");
}

TEST(OutputDirectoryTest, ReplacesNothingOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const TempDir dir;
  const fs::path path = dir.path() / "result";
  {
    OutputDirectory out(path);
    WriteBytes(out.path() / "x", "1");
    out.Commit();
  }
  ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
  EXPECT_THAT(ErrorOf([&] { OutputDirectory out(path); }), HasSubstr("belongs to another user"));
  WriteBytes(dir.path() / "file", "theirs");
  ASSERT_EQ(::chown((dir.path() / "file").c_str(), 12345, 12345), 0);
  EXPECT_THAT(ErrorOf([&] { WriteFileAtomically(dir.path() / "file", "mine"); }),
              HasSubstr("belongs to another user"));
}

TEST(OutputDirectoryTest, NoticesForeignFilesThatAppearMeanwhile) {
  const TempDir dir;
  OutputDirectory out(dir.path() / "result");
  fs::create_directory(dir.path() / "result");
  WriteBytes(dir.path() / "result" / "other", "precious");
  EXPECT_THAT(ErrorOf([&] { out.Commit(); }), HasSubstr("was not written by qsim"));
  EXPECT_EQ(ReadBytes(dir.path() / "result" / "other"), "precious");
}

}  // namespace
}  // namespace qsim::testing
