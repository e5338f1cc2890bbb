#include "golden/ops/view.h"

#include <algorithm>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 31;

}  // namespace

void CheckView(const StridedView& view, std::int64_t size) {
  Require(view.extents.size() == view.strides.size(), "View: needs one stride for each extent");
  Int128 lowest = view.offset, highest = view.offset;
  std::int64_t count = 1;
  for (std::size_t axis = 0; axis < view.extents.size(); ++axis) {
    const std::int64_t extent = view.extents[axis];
    Require(extent >= 1 && extent <= kMost / count, "View: has an impossible shape");
    count *= extent;
    const Int128 reach = Int128{extent - 1} * view.strides[axis];
    lowest += std::min(reach, Int128{0});
    highest += std::max(reach, Int128{0});
  }
  Require(lowest >= 0 && highest < size, "View: reads elements beyond its input");
}

std::vector<std::size_t> ElementsOf(const StridedView& view, std::int64_t size) {
  CheckView(view, size);
  std::vector<std::size_t> elements = {static_cast<std::size_t>(view.offset)};
  for (std::size_t axis = 0; axis < view.extents.size(); ++axis) {
    std::vector<std::size_t> finer;
    for (const std::size_t first : elements) {
      for (std::int64_t i = 0; i < view.extents[axis]; ++i)
        finer.push_back(first + static_cast<std::size_t>(i * view.strides[axis]));
    }
    elements = std::move(finer);
  }
  return elements;
}

}  // namespace qsim::golden
