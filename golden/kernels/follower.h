// Requantizations that run with the product which they alone read. Private to golden/kernels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/kernels/ratios.h"
#include "golden/program/operation_run.h"

namespace qsim::golden::kernels {

// The parameters of one head, for axis kFirst.
inline RequantizeParams OfHead(RequantizeParams params, std::int64_t head) {
  const auto one = [head](auto& list) {
    if (list.size() > 1) list = list.subspan(static_cast<std::size_t>(head), 1);
  };
  one(params.scale);
  one(params.zero);
  one(params.addend);
  return params;
}

// A requantization that takes the sums of a product, panel by panel.
class Follower {
 public:
  Follower(const RequantizeOp& op, const OperationRun& run)
      : op_(op), info_(run.Info(op.output)), out_(info_.dtype, info_.shape) {
    const RequantizeParams params = op.Params(LayoutOf(info_.shape, op.axis), info_.range);
    const std::int64_t heads = op.axis == ChannelAxis::kFirst ? info_.shape.front() : 1;
    for (std::int64_t h = 0; h < heads; ++h)
      ratios_.emplace_back(heads == 1 ? params : OfHead(params, h), info_.shape.back());
  }

  // Columns of `input`, whose last axis has `in_width` of them, of rows from `first_row` on.
  void Take(std::int64_t head, std::int64_t first_row, std::int64_t rows, std::int64_t first,
            std::int64_t count, const std::int32_t* sums, std::int64_t stride) {
    const std::int64_t width = info_.shape.back();
    const std::int64_t from = std::max(first, op_.first_column);
    const std::int64_t to = std::min(first + count, op_.first_column + width);
    if (from >= to) return;
    const std::int64_t column = from - op_.first_column;
    const Tile tile{column, rows, to - from, sums + (from - first), stride};
    const Ratios& ratios = ratios_[ratios_.size() == 1 ? 0 : static_cast<std::size_t>(head)];
    std::visit(
        [&]<typename T>(std::vector<T>& values) {
          if constexpr (sizeof(T) <= 4)
            saturated_ +=
                ScaleTile(ratios, tile, values.data() + first_row * width + column, width);
        },
        out_.storage());
  }

  void Store(OperationRun& run) && { run.StoreClamped(op_.output, std::move(out_), saturated_); }

 private:
  const RequantizeOp& op_;
  TensorInfo info_;
  IntTensor out_;
  std::vector<Ratios> ratios_;
  std::int64_t saturated_ = 0;
};

// Of a product of so many heads; none where some reader needs the sums in another way.
inline std::vector<Follower> FollowersOf(const std::string& sums, std::int64_t heads,
                                         const OperationRun& run) {
  const auto readers = run.SoleReadersOf(sums);
  const Shape& shape = run.Info(sums).shape;
  std::vector<Follower> followers;
  // Lanes hold columns in pairs; the first axis is that of the heads, or there is one for all.
  const bool by_head = shape.size() > 2 && shape.front() == heads;
  if (std::any_of(readers.begin(), readers.end(), [&](const RequantizeOp* op) {
        return op->first_column % 2 != 0 || (op->axis == ChannelAxis::kFirst && !by_head);
      }))
    return followers;
  for (const RequantizeOp* op : readers) followers.emplace_back(*op, run);
  return followers;
}

}  // namespace qsim::golden::kernels
