// Labelled images as files: DIR/<class>/<image>. docs/formats.md, "Image folders".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/io/images/resize.h"

namespace qsim::inputs {

struct LoadedImage {
  IntTensor pixels;  // uint8 [channels, size, size]
  std::int64_t label = 0;
  std::filesystem::path path;
};

// The names are listed once; an image is decoded when it is asked for and not kept. Images are
// ordered by class folder and then by file name, both byte by byte.
//
// Labels: the class folders' order by name (as torchvision's ImageFolder), or, where
// DIR/classes.txt exists, the line (from 0) that names the folder.
class ImageFolder {
 public:
  // `channels`: 1 or 3. Throws InputError that names the file or folder: no folder, no class
  // folders, a class folder without images or with anything else in it, images outside the class
  // folders, a class folder that classes.txt does not name, empty or repeated lines in classes.txt;
  // other numbers of channels; CheckResizeSpec's.
  ImageFolder(const std::filesystem::path& directory, std::int64_t channels,
              const ResizeSpec& resize);

  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }
  // The labels are 0..class_count() - 1: class folders, or lines of classes.txt.
  std::int64_t class_count() const { return static_cast<std::int64_t>(classes_.size()); }
  // By label.
  const std::vector<std::string>& classes() const { return classes_; }

  // index in 0..size() - 1.
  std::int64_t Label(std::int64_t index) const;
  std::filesystem::path Path(std::int64_t index) const;
  // Throws InputError as ReadImage. May be called from several threads at once.
  LoadedImage Load(std::int64_t index) const;

 private:
  struct Entry {
    std::size_t label;
    std::string file;
  };

  void ReadClasses(const std::vector<std::string>& folders);
  void ListClass(std::size_t label);

  std::filesystem::path directory_;
  std::int64_t channels_;
  ResizeSpec resize_;
  std::vector<std::string> classes_;
  std::vector<Entry> entries_;
};

}  // namespace qsim::inputs
