#include "sim/io/tensors/npy_stack.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <variant>

#include "sim/io/files/path_util.h"
#include "sim/io/tensors/npy_header.h"

namespace qsim::io {

NpyStack::NpyStack(std::filesystem::path path, std::int64_t count, const IntTensor& like,
                   Shape shape)
    : path_(std::move(path)) {
  Create(NpyDescr(like.dtype()), count, std::move(shape),
         static_cast<std::size_t>(BitsOf(like.dtype())) / 8);
}

NpyStack::NpyStack(std::filesystem::path path, std::int64_t count, const FloatTensor& /*like*/,
                   Shape shape)
    : path_(std::move(path)) {
  Create("<f4", count, std::move(shape), sizeof(float));
}

void NpyStack::Create(const std::string& descr, std::int64_t count, Shape shape,
                      std::size_t width) {
  each_ = static_cast<std::size_t>(ElementCount(shape));
  shape.insert(shape.begin(), count);
  const std::string header = MakeNpyHeader(descr, shape);
  data_offset_ = header.size();
  WriteAt(0, header.data(), header.size(), O_CREAT | O_TRUNC);
  // Its full length from the beginning: the end of a part may be left out.
  std::error_code error;
  std::filesystem::resize_file(path_, OffsetOf(count, 0, width), error);
  if (error) ThrowOutputError(path_, "cannot be written", error.value());
}

std::size_t NpyStack::OffsetOf(std::int64_t index, std::int64_t element, std::size_t width) const {
  return data_offset_ +
         (static_cast<std::size_t>(index) * each_ + static_cast<std::size_t>(element)) * width;
}

void NpyStack::Write(std::int64_t index, const IntTensor& part, std::int64_t element) const {
  std::visit(
      [&](const auto& values) {
        WriteAt(OffsetOf(index, element, sizeof(values[0])), values.data(),
                values.size() * sizeof(values[0]), 0);
      },
      part.storage());
}

void NpyStack::Write(std::int64_t index, const FloatTensor& part, std::int64_t element) const {
  WriteAt(OffsetOf(index, element, sizeof(float)), part.data.data(),
          part.data.size() * sizeof(float), 0);
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
