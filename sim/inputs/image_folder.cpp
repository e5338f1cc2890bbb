#include "sim/inputs/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "sim/error.h"
#include "sim/io/images/image.h"
#include "sim/io/files/input_file.h"
#include "sim/text/printable.h"

namespace qsim::inputs {
namespace {

constexpr std::uint64_t kMaxClassesFile = 16 << 20;
constexpr std::string_view kClassesFile = "classes.txt";
constexpr std::string_view kLayout = "expected DIR/<class>/*.{png,jpg,jpeg}";

[[noreturn]] void Fail(const std::filesystem::path& path, std::string_view what) {
  throw InputError(fmt::format("{}: {}", Printable(path.string()), what));
}

bool HasImageExtension(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower.ends_with(".png") || lower.ends_with(".jpg") || lower.ends_with(".jpeg");
}

struct Listing {
  std::vector<std::string> folders;
  std::vector<std::string> files;
};

// The visible entries, each sorted: hidden ones are the litter of file managers and editors.
Listing List(const std::filesystem::path& directory) {
  Listing listing;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code broken_link;
    (entry->is_directory(broken_link) ? listing.folders : listing.files).push_back(std::move(name));
  }
  if (error) Fail(directory, fmt::format("cannot be listed: {}", error.message()));
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.files.begin(), listing.files.end());
  return listing;
}

std::vector<std::string> ReadLines(const std::filesystem::path& path) {
  const std::string text = ReadTextFile(path, kMaxClassesFile, "a list of classes");
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t next = end + 1;
    if (end > begin && text[end - 1] == '\r') --end;
    lines.push_back(text.substr(begin, end - begin));
    begin = next;
  }
  return lines;
}

IntTensor ChannelsFirst(const Image& image) {
  IntTensor tensor(DType::kUint8, {image.channels, image.height, image.width});
  std::vector<std::uint8_t>& out = tensor.As<std::uint8_t>();
  const std::size_t channels = static_cast<std::size_t>(image.channels);
  const std::size_t plane = out.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) out[c * plane + i] = image.pixels[i * channels + c];
  }
  return tensor;
}

}  // namespace

ImageFolder::ImageFolder(const std::filesystem::path& directory, std::int64_t channels,
                         const ResizeSpec& resize)
    : directory_(directory), channels_(channels), resize_(resize) {
  CheckResizeSpec(resize);
  if (channels != 1 && channels != 3) {
    Fail(directory,
         fmt::format("image files give 1 or 3 channels, the model takes {}; use a .npy", channels));
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    Fail(directory, fmt::format("is not a folder, {}", kLayout));
  }
  const Listing top = List(directory);
  for (const std::string& file : top.files) {
    if (HasImageExtension(file)) {
      Fail(directory / file, fmt::format("an image outside the class folders, {}", kLayout));
    }
  }
  if (top.folders.empty()) Fail(directory, fmt::format("has no class folders, {}", kLayout));
  if (std::binary_search(top.files.begin(), top.files.end(), kClassesFile)) {
    ReadClasses(top.folders);
  } else {
    classes_ = top.folders;
  }
  std::unordered_map<std::string_view, std::size_t> labels;
  for (std::size_t label = 0; label < classes_.size(); ++label) labels[classes_[label]] = label;
  for (const std::string& folder : top.folders) ListClass(labels.at(folder));
}

void ImageFolder::ReadClasses(const std::vector<std::string>& folders) {
  const std::filesystem::path path = directory_ / kClassesFile;
  classes_ = ReadLines(path);
  std::unordered_map<std::string_view, std::size_t> lines;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (classes_[i].empty()) {
      Fail(path, fmt::format("line {} is empty, expected the name of a class folder", i + 1));
    }
    const auto [first, inserted] = lines.emplace(classes_[i], i);
    if (!inserted) {
      Fail(path, fmt::format("line {} repeats '{}' of line {}", i + 1, Printable(classes_[i]),
                             first->second + 1));
    }
  }
  for (const std::string& folder : folders) {
    if (!lines.contains(folder)) {
      Fail(path, fmt::format("no line names the class folder '{}'", Printable(folder)));
    }
  }
}

void ImageFolder::ListClass(std::size_t label) {
  const std::filesystem::path folder = directory_ / classes_[label];
  Listing listing = List(folder);
  if (!listing.folders.empty()) {
    Fail(folder / listing.folders.front(),
         "a folder within a class folder, whose images would "
         "be left out");
  }
  if (listing.files.empty()) Fail(folder, "has no images, expected .png, .jpg or .jpeg files");
  for (std::string& file : listing.files) {
    if (!HasImageExtension(file)) {
      Fail(folder / file, "is not an image, expected .png, .jpg or .jpeg");
    }
    entries_.push_back({label, std::move(file)});
  }
}

std::int64_t ImageFolder::Label(std::int64_t index) const {
  return static_cast<std::int64_t>(entries_.at(static_cast<std::size_t>(index)).label);
}

std::filesystem::path ImageFolder::Path(std::int64_t index) const {
  const Entry& entry = entries_.at(static_cast<std::size_t>(index));
  return directory_ / classes_[entry.label] / entry.file;
}

LoadedImage ImageFolder::Load(std::int64_t index) const {
  std::filesystem::path path = Path(index);
  const Image image = ResizeForModel(ReadImage(path, channels_), resize_);
  return {ChannelsFirst(image), Label(index), std::move(path)};
}

}  // namespace qsim::inputs
