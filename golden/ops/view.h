// The same elements in another order, shape or number. docs/numerics.md section 14.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qsim::golden {

// A view of a tensor's elements, row-major: element (i_0, i_1, ..) of the view is element
// offset + sum_j i_j strides[j]. A slice, a transpose, patches of an image, overlapping windows.
struct StridedView {
  std::int64_t offset = 0;
  std::span<const std::int64_t> extents = {};
  std::span<const std::int64_t> strides = {};  // one for each extent
};

// Throws std::invalid_argument where the view reads beyond `size` elements, or is impossible.
void CheckView(const StridedView& view, std::int64_t size);

// The elements of a tensor of `size` elements, in the order of the view. Throws as CheckView.
std::vector<std::size_t> ElementsOf(const StridedView& view, std::int64_t size);

}  // namespace qsim::golden
