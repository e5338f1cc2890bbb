#include "golden/kernels/fast_backend.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "golden/kernels/follower.h"
#include "golden/kernels/norms.h"
#include "golden/kernels/ratios.h"
#include "golden/kernels/sequences.h"
#include "golden/kernels/softmax.h"
#include "golden/kernels/tensor_rows.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

using kernels::Follower;
using kernels::FollowersOf;
using kernels::Narrowed;
using kernels::OfHead;
using kernels::Ratios;
using kernels::RowCount;
using kernels::WideRows;

// Rows of `out` from `first` on, tile by tile. a and b, null or as wide, begin at the first row.
std::int64_t Scale(const Ratios& ratios, std::int64_t rows, std::int64_t width,
                   const std::int32_t* a, std::int64_t a_stride, const std::int32_t* b,
                   std::int64_t offset, IntTensor& out) {
  return std::visit(
      [&]<typename T>(std::vector<T>& values) -> std::int64_t {
        std::int64_t saturated = 0;
        if constexpr (sizeof(T) <= 4) {
          for (std::int64_t first = 0; first < width; first += Ratios::kTile) {
            const kernels::Tile tile{first,     rows,     std::min(Ratios::kTile, width - first),
                                     a + first, a_stride, b == nullptr ? nullptr : b + first,
                                     width};
            saturated += ScaleTile(ratios, tile, values.data() + offset + first, width);
          }
        }
        return saturated;
      },
      out.storage());
}

}  // namespace

const kernels::PackedWeight* FastBackend::Packed(const OperationRun& run, const std::string& weight,
                                                 MatrixView<const std::int8_t> rhs) {
  if (program_ != &run.program()) return nullptr;
  const std::lock_guard lock(mutex_);
  return &packed_.try_emplace(weight, rhs).first->second;
}

// How each operation is run here; false where the specification runs it.
struct FastBackend::Kernel {
  FastBackend& backend;
  OperationRun& run;

  bool operator()(const GemmOp& op) const {
    const ProductOperands product = op.Operands(run);
    const kernels::PackedWeight* packed = backend.Packed(run, op.weight, product.rhs);
    if (auto followers = FollowersOf(op.output, 1, run); !followers.empty()) {
      const std::int64_t rows = run.Info(op.output).shape[0];
      const auto sink = [&](std::int64_t first, std::int64_t count, const std::int32_t* tile,
                            std::int64_t stride) {
        for (Follower& follower : followers) follower.Take(0, 0, rows, first, count, tile, stride);
      };
      const bool done = std::visit(
          [&](const auto& lhs) {
            return kernels::GemmInto(lhs, product.rhs, product.params, sink, packed);
          },
          product.lhs);
      if (done) {
        for (Follower& follower : followers) std::move(follower).Store(run);
        return true;
      }
    }
    IntTensor out(DType::kInt32, run.Info(op.output).shape);
    const std::int64_t m = out.shape()[0], cols = out.shape()[1];
    std::visit(
        [&](const auto& lhs) {
          kernels::Gemm(lhs, product.rhs, product.params,
                        {out.As<std::int32_t>().data(), m, cols, cols, 1}, run.Tracked(op.output),
                        packed);
        },
        product.lhs);
    run.Store(op.output, std::move(out));
    return true;
  }

  bool operator()(const MatmulOp& op) const {
    auto followers = FollowersOf(op.output, op.heads, run);
    if (followers.empty()) return op.Run(run), true;
    const TensorInfo info = run.Info(op.output);
    const Matrices y = *MatricesOf(info.shape, op.heads);
    // Side by side, a head's columns begin behind the others'.
    const bool side_by_side = info.shape.size() == 2;
    if (side_by_side && y.cols % 2 != 0) return op.Run(run), true;
    for (std::int64_t h = 0; h < op.heads; ++h) {
      const ProductOperands product = op.Operands(run, h);
      const std::int64_t column = side_by_side ? h * y.cols : 0;
      const auto sink = [&](std::int64_t first, std::int64_t count, const std::int32_t* tile,
                            std::int64_t stride) {
        for (Follower& follower : followers)
          follower.Take(h, side_by_side ? 0 : h * y.rows, y.rows, column + first, count, tile,
                        stride);
      };
      const bool done = std::visit(
          [&](const auto& lhs) {
            return kernels::GemmInto(lhs, product.rhs, product.params, sink);
          },
          product.lhs);
      if (!done) return op.Run(run), true;
    }
    for (Follower& follower : followers) std::move(follower).Store(run);
    return true;
  }

  bool operator()(const RequantizeOp& op) const {
    if (run.Has(op.output)) return true;  // with the product
    const TensorInfo info = run.Info(op.output);
    const IntTensor& in = run.Value(op.input);
    const RequantizeParams params = op.Params(LayoutOf(info.shape, op.axis), info.range);
    // Of a list the first axis is the last one, too.
    const bool by_head = op.axis == ChannelAxis::kFirst && info.shape.size() > 1;
    const std::int64_t heads = by_head ? info.shape.front() : 1;
    const std::int64_t width = info.shape.back(), in_width = in.shape().back();
    const auto rows = static_cast<std::int64_t>(RowCount(in)) / heads;
    WideRows wide(in);
    IntTensor out(info.dtype, info.shape);
    std::int64_t saturated = 0;
    for (std::int64_t h = 0; h < heads; ++h) {
      const Ratios ratios(heads == 1 ? params : OfHead(params, h), width);
      const auto values =
          wide.Rows(static_cast<std::size_t>(h * rows), static_cast<std::size_t>(rows));
      saturated += Scale(ratios, rows, width, values.data() + op.first_column, in_width, nullptr,
                         h * rows * width, out);
    }
    run.StoreClamped(op.output, std::move(out), saturated);
    return true;
  }

  bool operator()(const RowDivideOp& op) const {
    const TensorInfo info = run.Info(op.output);
    const IntTensor& in = run.Value(op.input);
    const std::vector<Multiplier> reciprocals = op.Reciprocals(run);
    const auto rows = static_cast<std::int64_t>(reciprocals.size());
    const std::int64_t width = in.size() / rows;
    const std::vector<std::int32_t> zero = {0};
    RequantizeParams params;
    params.zero = zero;
    params.scale = std::span(reciprocals).first(1);
    params.rounding = op.rounding;
    params.range = info.range;
    Ratios ratios(params, width);
    IntTensor out(info.dtype, info.shape);
    WideRows wide(in);
    const auto values = wide.Rows(0, RowCount(in));
    std::int64_t saturated = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      ratios.SetScale(reciprocals[static_cast<std::size_t>(r)]);
      saturated +=
          Scale(ratios, 1, width, values.data() + r * width, width, nullptr, r * width, out);
    }
    run.StoreClamped(op.output, std::move(out), saturated);
    return true;
  }

  bool operator()(const ResidualAddOp& op) const {
    const TensorInfo info = run.Info(op.output);
    const IntTensor &a = run.Value(op.a), &b = run.Value(op.b);
    const auto width = info.shape.back();
    const Ratios ratios(op.Params(info), width);
    WideRows wide_a(a), wide_b(b);
    const auto rows_a = wide_a.Rows(0, RowCount(a)), rows_b = wide_b.Rows(0, RowCount(b));
    IntTensor out(info.dtype, info.shape);
    const std::int64_t saturated =
        Scale(ratios, info.shape.front(), width, rows_a.data(), width, rows_b.data(), 0, out);
    run.StoreClamped(op.output, std::move(out), saturated);
    return true;
  }

  bool operator()(const EmbedOp& op) const {
    const TensorInfo info = run.Info(op.output);
    const IntTensor& patches = run.Value(op.a);
    const std::vector<std::int32_t>& position = run.Constant(op.position).As<std::int32_t>();
    const std::int64_t width = info.shape.back(), rows = patches.size() / width;
    const std::int64_t in_front = static_cast<std::int64_t>(position.size()) / width - rows;
    const Ratios ratios(op.Params(info, rows), width);
    IntTensor out(info.dtype, info.shape);
    std::visit(
        [&]<typename T>(std::vector<T>& values) {
          std::transform(position.begin(), position.begin() + in_front * width, values.begin(),
                         [](std::int32_t v) { return static_cast<T>(v); });
        },
        out.storage());
    const std::int64_t saturated =
        Scale(ratios, rows, width, patches.As<std::int32_t>().data(), width,
              position.data() + in_front * width, in_front * width, out);
    run.StoreClamped(op.output, std::move(out), saturated);
    return true;
  }

  bool operator()(const SoftmaxOp& op) const {
    const TensorInfo in_info = run.Info(op.input);
    const IntTensor& in = run.Value(op.input);
    const auto width = static_cast<std::size_t>(in_info.shape[2]);
    const auto rows_per_head = static_cast<std::size_t>(in_info.shape[1]);
    const std::int64_t distances = std::int64_t{in_info.range.qmax} - in_info.range.qmin + 1;
    const std::vector<std::uint8_t> visible = op.Visible(run);
    WideRows wide(in);
    const auto all = wide.Rows(0, RowCount(in));
    std::vector<std::int32_t> out(all.size());
    std::unique_ptr<kernels::SoftmaxRows> rows;
    std::vector<std::int32_t> seen, result;
    std::int64_t saturated = 0;
    for (std::size_t r = 0; r < RowCount(in); ++r) {
      const SoftmaxParams& params = EntryFor(op.params, r / rows_per_head);
      if (r == 0 || (r % rows_per_head == 0 && op.params.size() > 1))
        rows = kernels::MakeSoftmaxRows(params, op.division, distances);
      const auto scores = all.subspan(r * width, width);
      const auto row = std::span(out).subspan(r * width, width);
      if (visible.empty()) {
        saturated += rows->Row(scores, row);
      } else {
        const auto mask = std::span(visible).subspan(r % rows_per_head * width, width);
        seen.clear();
        for (std::size_t i = 0; i < width; ++i) {
          if (mask[i] != 0) seen.push_back(scores[i]);
        }
        result.resize(seen.size());
        if (!seen.empty()) saturated += rows->Row(seen, result);
        auto next = result.begin();
        const std::int32_t zero = SoftmaxZero(params, op.division);
        for (std::size_t i = 0; i < width; ++i) row[i] = mask[i] != 0 ? *next++ : zero;
      }
    }
    run.StoreClamped(op.output, Narrowed(run.Info(op.output), out), saturated);
    return true;
  }

  bool operator()(const LayernormOp& op) const {
    const TensorInfo info = run.Info(op.output);
    const IntTensor& in = run.Value(op.input);
    WideRows wide(in);
    std::vector<std::int32_t> out(static_cast<std::size_t>(in.size()));
    bool by_reference = false;
    const std::int64_t saturated =
        kernels::LayernormOf(wide.Rows(0, RowCount(in)), info.shape.back(), op.params,
                             run.Info(op.input).range, info.range, out, by_reference);
    if (by_reference) backend.NoteReference(op.output);
    run.StoreClamped(op.output, Narrowed(info, out), saturated);
    return true;
  }

  bool operator()(const RmsnormOp& op) const {
    const TensorInfo info = run.Info(op.output);
    const IntTensor& in = run.Value(op.input);
    WideRows wide(in);
    std::optional<WideRows> gates;
    if (!op.gate.empty()) gates.emplace(run.Value(op.gate));
    const QuantRange gate = gates ? run.Info(op.gate).range : QuantRange{0, 1};
    const auto x = wide.Rows(0, RowCount(in));
    const auto g = gates ? gates->Rows(0, RowCount(in)) : std::span<const std::int32_t>();
    std::vector<std::int32_t> out(x.size());
    bool by_reference = false;
    std::int64_t saturated = 0;
    const std::int64_t channels = info.shape.back(), groups = std::max<std::int64_t>(op.groups, 1);
    const std::int64_t width = channels / groups;
    const auto norm = [&](std::span<const std::int32_t> rows, std::span<const std::int32_t> factors,
                          const RmsnormParams& params, std::span<std::int32_t> y) {
      saturated += kernels::RmsnormOf(rows, factors, width, params, run.Info(op.input).range, gate,
                                      info.range, y, by_reference);
    };
    const auto of_group = [&](std::int64_t group) {
      return op.Of(static_cast<std::size_t>(group * width), static_cast<std::size_t>(width));
    };
    const RmsnormParams first = of_group(0);
    bool alike = true;
    for (std::int64_t group = 1; group < groups; ++group) alike = alike && of_group(group) == first;
    if (alike) {  // each group is a row
      norm(x, g, first, out);
    } else {
      for (std::int64_t group = 0; group < groups; ++group) {
        const kernels::ColumnGroup columns{channels, group * width, width};
        std::vector<std::int32_t> y(x.size() / static_cast<std::size_t>(groups));
        norm(columns.Of(x), columns.Of(g), of_group(group), y);
        columns.Put(y, out);
      }
    }
    if (by_reference) backend.NoteReference(op.output);
    run.StoreClamped(op.output, Narrowed(info, out), saturated);
    return true;
  }

  // A function of each code by itself: the specification computes it once for every code.
  bool operator()(const GeluOp& op) const {
    const TensorInfo in = run.Info(op.input), out = run.Info(op.output);
    GeluShape shape = GeluOp::ShapeOf(in, out);
    if (KindOf(op.params) == GeluKind::kShiftGelu) return ShiftGelu(op, shape);
    if (const auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
      std::int64_t none = 0;
      run.StoreClamped(op.output, LookUp(op.input, op.output, lookup->table, {}, none), none);
      return true;
    }
    // Fewer elements than codes: each by itself.
    if (run.Value(op.input).size() < std::int64_t{in.range.qmax} - in.range.qmin)
      return op.Run(run), true;
    shape.row_length = 0;
    std::vector<std::int32_t> codes;
    for (std::int32_t code = in.range.qmin; code <= in.range.qmax; ++code) codes.push_back(code);
    std::vector<std::int32_t> table(codes.size());
    std::vector<std::uint8_t> saturates;
    const std::int64_t some = Gelu(codes, op.params, shape, table);
    if (some != 0) {
      saturates.resize(codes.size());
      std::int32_t ignored = 0;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        saturates[i] = Gelu({&codes[i], 1}, op.params, shape, {&ignored, 1}) != 0;
      }
    }
    std::int64_t saturated = 0;
    IntTensor result = LookUp(op.input, op.output, table, saturates, saturated);
    run.StoreClamped(op.output, std::move(result), saturated);
    return true;
  }

  bool operator()(const TableOp& op) const {
    if (op.table_of.empty() && op.step_bits == 0) {
      std::int64_t none = 0;
      run.Store(op.output, LookUp(op.input, op.output, op.table, {}, none));
      return true;
    }
    return kernels::Run(op, run), true;
  }

  bool operator()(const MultiplyOp& op) const { return kernels::Run(op, run), true; }
  bool operator()(const CausalConvOp& op) const { return kernels::Run(op, run), true; }
  bool operator()(const RecurrenceOp& op) const { return kernels::Run(op, run), true; }
  bool operator()(const RecurrenceStateOp& op) const { return kernels::Run(op, run), true; }

  bool operator()(const RowSumOp& op) const {
    const IntTensor& in = run.Value(op.input);
    const TensorInfo info = run.Info(op.output);
    const auto width = static_cast<std::size_t>(in.shape().back());
    const bool shift = op.mode == OperandMode::kShift;
    IntTensor out(info.dtype, info.shape);
    std::visit(
        [&]<typename T>(const std::vector<T>& values) {
          std::vector<std::int32_t>& sums = out.As<std::int32_t>();
          for (std::size_t r = 0; r < sums.size(); ++r) {
            std::int64_t sum = 0;
            const auto row = std::span(values).subspan(r * width, width);
            if (shift) {
              for (const T code : row) sum += (1 << 16) >> (code + 1);
            } else {
              for (const T value : row) sum += value;
            }
            sums[r] = static_cast<std::int32_t>(sum);
          }
        },
        in.storage());
    run.Store(op.output, std::move(out));
    return true;
  }

  // They move codes, as they are.
  bool operator()(const ConcatOp& op) const { return op.Run(run), true; }
  bool operator()(const LastRowsOp& op) const { return op.Run(run), true; }
  bool operator()(const LookupOp& op) const { return op.Run(run), true; }
  bool operator()(const PatchifyOp& op) const { return op.Run(run), true; }
  bool operator()(const ViewOp& op) const { return op.Run(run), true; }

  bool operator()(const auto&) const { return false; }

 private:
  // `saturates`: empty, or 1 where the code's result was clamped; adds up those met.
  IntTensor LookUp(const std::string& input, const std::string& output,
                   std::span<const std::int32_t> table, std::span<const std::uint8_t> saturates,
                   std::int64_t& saturated) const {
    const IntTensor& in = run.Value(input);
    const std::int32_t first = run.Info(input).range.qmin;
    const TensorInfo info = run.Info(output);
    IntTensor out(info.dtype, info.shape);
    std::visit(
        [&]<typename From, typename To>(const std::vector<From>& from, std::vector<To>& to) {
          std::vector<To> entries(table.begin(), table.end());
          for (std::size_t i = 0; i < from.size(); ++i)
            to[i] = entries[static_cast<std::size_t>(from[i] - first)];
          if (saturates.empty()) return;
          for (const From code : from)
            saturated += saturates[static_cast<std::size_t>(code - first)];
        },
        in.storage(), out.storage());
    return out;
  }

  // Row by row, a code's result depends on the row's maximum too: one table for each.
  bool ShiftGelu(const GeluOp& op, const GeluShape& shape) const {
    const IntTensor& in = run.Value(op.input);
    const std::int32_t first = run.Info(op.input).range.qmin;
    struct Entry {
      std::int32_t y = 0;
      bool saturates = false;
    };
    std::map<std::int32_t, std::vector<Entry>> tables;
    WideRows wide(in);
    const auto all = wide.Rows(0, RowCount(in));
    const auto width = static_cast<std::size_t>(in.shape().back());
    std::vector<std::int32_t> out(all.size());
    std::int64_t saturated = 0;
    for (std::size_t r = 0; r < RowCount(in); ++r) {
      const auto x = all.subspan(r * width, width);
      const std::int32_t largest = kernels::Largest(x);
      std::vector<Entry>& table = tables[largest];
      for (std::int32_t code = first; table.size() <= static_cast<std::size_t>(largest - first);
           ++code) {
        const std::int32_t pair[] = {largest, code};
        std::int32_t y[2];
        const GeluShape two{shape.range, shape.input_qmin, 2},
            one{shape.range, shape.input_qmin, 1};
        const std::int64_t both = Gelu(pair, op.params, two, y);
        std::int32_t of_largest = 0;
        const std::int64_t alone = Gelu({pair, 1}, op.params, one, {&of_largest, 1});
        table.push_back({y[1], both > alone});
      }
      for (std::size_t i = 0; i < x.size(); ++i) {
        const Entry& entry = table[static_cast<std::size_t>(x[i] - first)];
        out[r * width + i] = entry.y;
        saturated += entry.saturates;
      }
    }
    run.StoreClamped(op.output, Narrowed(run.Info(op.output), out), saturated);
    return true;
  }
};

void FastBackend::Run(const Op& op, OperationRun& run) {
  if (std::visit(Kernel{*this, run}, op)) return;
  NoteReference(OutputOf(op));
  GoldenBackend::Run(op, run);
}

void FastBackend::NoteReference(const std::string& output) {
  const std::lock_guard lock(mutex_);
  by_reference_.insert(output);
}

std::vector<std::string> FastBackend::ByReference() const {
  const std::lock_guard lock(mutex_);
  return {by_reference_.begin(), by_reference_.end()};
}

void FastBackend::Gemm(const OpId& /*id*/, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                       const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  std::visit([&](const auto& view) { kernels::Gemm(view, rhs, params, out, seen); }, lhs);
}

}  // namespace qsim::golden
