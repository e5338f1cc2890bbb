// Runs the real qsim binary and keeps what it printed.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline const std::filesystem::path kSourceDir = QSIM_SOURCE_DIR;

inline std::string ReadBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteBytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  EXPECT_TRUE(file.good()) << path;
}

// Every regular file below a directory, by relative name.
inline std::map<std::string, std::string> FilesOf(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      files[std::filesystem::relative(entry.path(), directory).string()] = ReadBytes(entry.path());
    }
  }
  return files;
}

inline std::set<std::string> NamesIn(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    names.insert(std::filesystem::relative(entry.path(), directory).string());
  return names;
}

struct ProcessResult {
  int exit_status = -1;             // 128 + signal when killed
  std::int64_t peak_kilobytes = 0;  // of memory
  std::string out, err;
};

// `directory` is the process's working directory. With a descriptor `stdout_fd`, that is its
// standard output, and nothing of it is kept.
inline ProcessResult RunProgram(const std::string& program,
                                const std::vector<std::string>& arguments,
                                const std::filesystem::path& directory, int stdout_fd = -1) {
  const TempDir temp;
  const std::string out = (temp.path() / "out").string();
  const std::string err = (temp.path() / "err").string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (stdout_fd < 0) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT,
                                     0600);
  } else {
    posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
  }
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ProcessResult result;
  EXPECT_EQ(failed, 0) << program;
  if (failed != 0) return result;
  int status = 0;
  struct rusage usage {};
  EXPECT_EQ(wait4(pid, &status, 0, &usage), pid);
  result.peak_kilobytes = usage.ru_maxrss;
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (stdout_fd < 0) result.out = ReadBytes(out);
  result.err = ReadBytes(err);
  return result;
}

inline ProcessResult RunQsim(const std::vector<std::string>& arguments,
                             const std::filesystem::path& directory, int stdout_fd = -1) {
  return RunProgram(QSIM_BINARY, arguments, directory, stdout_fd);
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace qsim::testing
