#include "sim/io/tensors/npy_stack.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <variant>

#include "sim/io/tensors/npy_header.h"
#include "sim/io/files/path_util.h"

namespace qsim::io {

NpyStack::NpyStack(std::filesystem::path path, std::int64_t count, const IntTensor& like)
    : path_(std::move(path)) {
  Create(NpyDescr(like.dtype()), count, like.shape());
}

NpyStack::NpyStack(std::filesystem::path path, std::int64_t count, const FloatTensor& like)
    : path_(std::move(path)) {
  Create("<f4", count, like.shape);
}

void NpyStack::Create(const std::string& descr, std::int64_t count, Shape shape) {
  shape.insert(shape.begin(), count);
  const std::string header = MakeNpyHeader(descr, shape);
  data_offset_ = header.size();
  WriteAt(0, header.data(), header.size(), O_CREAT | O_TRUNC);
}

void NpyStack::Write(std::int64_t index, const IntTensor& part) const {
  std::visit(
      [&](const auto& values) {
        const std::size_t bytes = values.size() * sizeof(values[0]);
        WriteAt(data_offset_ + static_cast<std::size_t>(index) * bytes, values.data(), bytes, 0);
      },
      part.storage());
}

void NpyStack::Write(std::int64_t index, const FloatTensor& part) const {
  const std::size_t bytes = part.data.size() * sizeof(float);
  WriteAt(data_offset_ + static_cast<std::size_t>(index) * bytes, part.data.data(), bytes, 0);
}

// The file is opened for each part: a network has more tensors than a process may have open files.
void NpyStack::WriteAt(std::size_t offset, const void* data, std::size_t bytes,
                       int open_flags) const {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | open_flags, 0666);
  if (fd < 0) ThrowOutputError(path_, "cannot be written", errno);
  const char* cursor = static_cast<const char*>(data);
  int error = 0;
  while (bytes > 0 && error == 0) {
    const ssize_t written = ::pwrite(fd, cursor, bytes, static_cast<off_t>(offset));
    if (written < 0) {
      if (errno != EINTR) error = errno;
      continue;
    }
    cursor += written;
    offset += static_cast<std::size_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
  // Some file systems report a full disk only here.
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error != 0) ThrowOutputError(path_, "cannot be written", error);
}

}  // namespace qsim::io
