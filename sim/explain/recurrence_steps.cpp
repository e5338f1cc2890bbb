// Recurrences, up to their inner steps: docs/numerics.md section 17. One head's sequence is a
// piece.
#include <algorithm>
#include <bit>
#include <type_traits>

#include "golden/ops/chunked_recurrence.h"
#include "golden/ops/one_or_each.h"
#include "sim/explain/inner_steps.h"

namespace qsim::explain {
namespace {

using Codes = std::vector<std::int32_t>;

// The columns of one head of the state, behind their zero points.
struct HeadSequence {
  GatedChunk all;  // every row
  Codes query;     // of one head of the output, behind its zero point
  Codes initial;   // [dk, dv]
  std::int64_t of_state = 0;
};

template <typename AnyRecurrence>
class RecurrencePieces final : public InnerPieces {
 public:
  static constexpr bool kReads = std::is_same_v<AnyRecurrence, RecurrenceOp>;

  RecurrencePieces(const Program& program, const AnyRecurrence& op,
                   const std::vector<TensorMap>& inputs)
      : program_(program), op_(op), range_(program.Tensor(op.past).range) {
    for (const TensorMap& image : inputs) {
      Image tensors = {Int32Of(image.at(op.key)),
                       Int32Of(image.at(op.value)),
                       Int32Of(image.at(op.decay)),
                       Int32Of(image.at(op.past)),
                       {}};
      if constexpr (kReads) tensors.query = Int32Of(image.at(op.query));
      images_.push_back(std::move(tensors));
    }
    const Shape& past = program.Tensor(op.past).shape;
    rows_ = program.Tensor(op.key).shape[0];
    heads_ = HeadsOf(op.update, program.Tensor(op.key).shape, program.Tensor(op.value).shape,
                     program.Tensor(op.decay).shape, past);
    out_heads_ = heads_.state;
    if constexpr (kReads) {
      query_heads_ = program.Tensor(op.query).shape[1] / op.update.key_width;
      out_heads_ = std::max(query_heads_, heads_.state);
    }
    size_ = ElementCount(program.Tensor(op.output).shape);
    while (op.update.chunk != 0 && most_chunk_ < std::min<std::int64_t>(rows_, kMaxChunk) &&
           Holds(most_chunk_ + 1))
      ++most_chunk_;
  }

  std::int64_t Count() const override { return std::ssize(images_) * out_heads_; }
  std::int64_t PieceOf(std::int64_t element) const override {
    const std::int64_t within = element % size_;
    const std::int64_t head =
        kReads ? within / op_.update.value_width % out_heads_ : within / (size_ / out_heads_);
    return element / size_ * out_heads_ + head;
  }
  std::int64_t Work() const override { return 2 * (kReads ? op_.update.key_width : rows_); }
  std::vector<std::int64_t> Elements(std::int64_t piece) const override {
    const std::int64_t begin = piece / out_heads_ * size_, head = piece % out_heads_;
    const std::int64_t width = op_.update.value_width;
    std::vector<std::int64_t> elements;
    if constexpr (kReads) {
      for (std::int64_t t = 0; t < rows_; ++t)
        for (std::int64_t v = 0; v < width; ++v)
          elements.push_back(begin + (t * out_heads_ + head) * width + v);
    } else {
      for (std::int64_t i = 0; i < size_ / out_heads_; ++i)
        elements.push_back(begin + head * (size_ / out_heads_) + i);
    }
    return elements;
  }

  std::vector<std::int64_t> Run(const Op& any, std::int64_t piece, Inner& inner,
                                std::int64_t most) const override {
    const auto& op = std::get<AnyRecurrence>(any);
    const std::int64_t image = piece / out_heads_, head = piece % out_heads_;
    const bool cleared = images_.size() < 2 || inner.Does(Site::kClearedBetween, true);
    std::vector<std::int64_t> out;
    Codes state;
    for (std::int64_t i = cleared ? image : 0; i <= image; ++i) {
      const HeadSequence sequence = SequenceOf(op, i, head, inner);
      if (state.empty()) state = sequence.initial;
      const bool cut = kReads && i == image;
      const std::int64_t width = op.update.value_width;
      out = RunSequence(op, sequence, head, cut ? most / width + 1 : rows_, state, inner);
    }
    return out;
  }

 private:
  struct Image {
    Codes key, value, decay, past, query;
  };

  // Whether it matters which of several heads goes with which.
  bool Shared() const {
    const auto some = [](std::int64_t fewer, std::int64_t heads) {
      return fewer > 1 && fewer < heads;
    };
    return some(heads_.key, heads_.state) || some(heads_.value, heads_.state) ||
           some(heads_.decay, heads_.state) || some(heads_.state, out_heads_) ||
           (kReads && some(query_heads_, out_heads_));
  }

  // Head `head` of so many, whose columns are side by side; `on`: those of a head further on.
  Codes Columns(const Codes& operand, std::int64_t fewer, std::int64_t width, std::int64_t head,
                std::int64_t heads, std::int32_t zero, bool neighbours, std::int64_t on = 0) const {
    std::int64_t own = neighbours ? ShareOf(head, heads, fewer) : head % fewer;
    own = (own + on) % fewer;
    Codes columns;
    columns.reserve(static_cast<std::size_t>(rows_ * width));
    for (std::int64_t t = 0; t < rows_; ++t)
      for (std::int64_t c = 0; c < width; ++c)
        columns.push_back(operand[static_cast<std::size_t>((t * fewer + own) * width + c)] - zero);
    return columns;
  }

  HeadSequence SequenceOf(const AnyRecurrence& op, std::int64_t image, std::int64_t head,
                          Inner& inner) const {
    const GatedUpdateParams& update = op.update;
    const Image& in = images_[static_cast<std::size_t>(image)];
    const bool neighbours = !Shared() || inner.Does(Site::kSharedHeads, true);
    const std::int64_t of_state =
        neighbours ? ShareOf(head, out_heads_, heads_.state) : head % heads_.state;
    const std::int64_t on = heads_.decay > 1 ? inner.Number(Site::kDecayHead, 0, heads_.decay) : 0;
    HeadSequence sequence;
    sequence.of_state = of_state;
    sequence.all = {.rows = rows_,
                    .keys = update.key_width,
                    .values = update.value_width,
                    .key = Columns(in.key, heads_.key, update.key_width, of_state, heads_.state,
                                   update.key_zero, neighbours),
                    .value = Columns(in.value, heads_.value, update.value_width, of_state,
                                     heads_.state, update.value_zero, neighbours),
                    .decay = Columns(in.decay, heads_.decay, heads_.decay_width, of_state,
                                     heads_.state, update.decay_zero, neighbours, on),
                    .decay_shift = update.decay_shift};
    if (!inner.Does(Site::kDecay, true))
      std::fill(sequence.all.decay.begin(), sequence.all.decay.end(), 1 << update.decay_shift);
    if constexpr (kReads)
      sequence.query = Columns(in.query, query_heads_, update.key_width, head, out_heads_,
                               op.query_zero, neighbours);
    const bool any =
        std::any_of(in.past.begin(), in.past.end(), [](std::int32_t s) { return s != 0; });
    const bool loaded = !any || inner.Does(Site::kInitial, true);
    const std::int64_t keys = update.key_width, values = update.value_width;
    for (std::int64_t k = 0; k < keys; ++k) {
      for (std::int64_t v = 0; v < values; ++v) {
        const std::int64_t at = update.value_first ? v * keys + k : k * values + v;
        sequence.initial.push_back(
            loaded ? in.past[static_cast<std::size_t>(of_state * keys * values + at)] : 0);
      }
    }
    return sequence;
  }

  // The outputs of the sequence, or of its first rows; `state` is left behind the last one.
  std::vector<std::int64_t> RunSequence(const AnyRecurrence& op, const HeadSequence& sequence,
                                        std::int64_t head, std::int64_t rows, Codes& state,
                                        Inner& inner) const {
    const Multiplier scale = EntryFor(op.update.update, sequence.of_state);
    std::vector<std::int64_t> out;
    const std::int64_t chunk =
        op.update.chunk == 0 ? 0 : inner.Number(Site::kChunk, op.update.chunk, most_chunk_);
    if (chunk != 0)
      Chunks(op, sequence, head, scale, chunk, rows, state, inner, out);
    else if (Fits(op, scale))
      Rows<std::int64_t>(op, sequence, head, scale, rows, state, inner, out);
    else
      Rows<Int128>(op, sequence, head, scale, rows, state, inner, out);
    if constexpr (!kReads) {
      const std::int64_t keys = op.update.key_width, values = op.update.value_width;
      for (std::int64_t i = 0; i < keys * values; ++i) {
        const std::int64_t at = op.update.value_first ? i % keys * values + i / keys : i;
        out.push_back(state[static_cast<std::size_t>(at)]);
      }
    }
    return out;
  }

  template <typename Int>  // 64 bits where every term fits
  void Rows(const AnyRecurrence& op, const HeadSequence& sequence, std::int64_t head,
            Multiplier scale, std::int64_t rows, Codes& state, Inner& inner,
            std::vector<std::int64_t>& out) const {
    const std::int64_t reset = inner.Number(Site::kReset, 0, rows_);
    const bool behind = !kReads || inner.Does(Site::kReadBehind, true);
    for (std::int64_t t = 0; t < std::min(rows, rows_); ++t) {
      if (reset != 0 && t % reset == 0) state = sequence.initial;
      if (!behind) Read<Int>(op, sequence, head, t, state, inner, out);
      Update<Int>(op.update, sequence, scale, t, inner, state);
      if (behind) Read<Int>(op, sequence, head, t, state, inner, out);
    }
  }

  template <typename Int>
  void Update(const GatedUpdateParams& update, const HeadSequence& sequence, Multiplier scale,
              std::int64_t row, Inner& inner, Codes& state) const {
    const GatedChunk& all = sequence.all;
    const RoundRule rounding = RuleOf(update.rounding);
    const std::int64_t width = std::ssize(all.decay) / rows_;
    const bool apart = inner.Does(Site::kRoundedApart, true);
    const Rounder<Int> decayed(update.decay_shift, inner.RuleAt(Site::kDecayed, rounding));
    const Rounder<Int> added(scale.shift, inner.RuleAt(Site::kUpdate, rounding));
    const Rounder<Int128> once(apart ? 0 : update.decay_shift + scale.shift, rounding);
    const std::int64_t step = inner.Number(Site::kStateStep, 0);
    const auto low = static_cast<int>(step < 0 ? -step : step);
    const Rounder<Int> kept(low, step < 0 ? RoundRule::kHalfUp : RoundRule::kFloor);
    const auto most = static_cast<std::uint32_t>(range_.qmax);
    const auto own_bits = static_cast<std::int64_t>(std::bit_width(most)) + 1;
    const std::int64_t bits = inner.Number(Site::kStateBits, own_bits);
    const QuantRange range = bits == own_bits ? range_ : Narrower(bits);
    const bool saturates = inner.Does(Site::kStateSaturates, true);
    Int least_decayed = 0, least_added = 0;
    for (std::int64_t k = 0; k < all.keys; ++k) {
      const Int decay = all.decay[static_cast<std::size_t>(row * width + k % width)];
      const Int key = Int{all.key[static_cast<std::size_t>(row * all.keys + k)]} * scale.m;
      for (std::int64_t v = 0; v < all.values; ++v) {
        std::int32_t& s = state[static_cast<std::size_t>(k * all.values + v)];
        const Int before = decay * s;
        const Int product = key * all.value[static_cast<std::size_t>(row * all.values + v)];
        least_decayed = std::min(least_decayed, before);
        least_added = std::min(least_added, product);
        const Int sum = apart ? decayed(before) + added(product)
                              : static_cast<Int>(once((Int128{before} << scale.shift) +
                                                      (Int128{product} << update.decay_shift)));
        s = Stored<Int>(kept(sum) << low, range, saturates);
      }
    }
    inner.NoteShifts(Site::kDecayed, update.decay_shift, rounding, least_decayed < 0);
    inner.NoteShifts(Site::kUpdate, scale.shift, rounding, least_added < 0);
  }

  // Whether the terms of an update, and of a readout, fit into 64 bits, with room for a rounding.
  bool Fits(const AnyRecurrence& op, Multiplier scale) const {
    constexpr Int128 kMost = Int128{1} << 61;
    const GatedUpdateParams& update = op.update;
    const Int128 state = Widest(range_, 0);
    const Int128 decay =
        std::max<Int128>(Widest(program_.Tensor(op.decay).range, update.decay_zero),
                         Int128{1} << update.decay_shift);
    const Int128 product = Int128{Widest(program_.Tensor(op.key).range, update.key_zero)} *
                           Widest(program_.Tensor(op.value).range, update.value_zero) *
                           std::abs(std::int64_t{scale.m});
    bool fits = std::max(update.decay_shift, int{scale.shift}) < 62 && decay * state <= kMost &&
                product <= kMost;
    if constexpr (kReads)
      fits = fits && Widest(program_.Tensor(op.query).range, op.query_zero) * (state + 1) *
                             update.key_width <=
                         kMost;
    return fits;
  }

  static QuantRange Narrower(std::int64_t bits) {
    const std::int32_t half = std::int32_t{1} << (bits - 1);
    return {-half, half - 1};
  }
  template <typename Int>
  static std::int32_t Stored(Int value, QuantRange range, bool saturates) {
    if (saturates)
      return static_cast<std::int32_t>(std::clamp<Int>(value, Int{range.qmin}, Int{range.qmax}));
    const Int count = Int{range.qmax} - range.qmin + 1;
    Int rest = (value - range.qmin) % count;
    if (rest < 0) rest += count;
    return static_cast<std::int32_t>(rest + range.qmin);
  }

  template <typename Int>
  void Read(const AnyRecurrence& op, const HeadSequence& sequence, std::int64_t head,
            std::int64_t row, const Codes& state, Inner& inner,
            std::vector<std::int64_t>& out) const {
    if constexpr (kReads) {
      const std::int64_t keys = op.update.key_width, values = op.update.value_width;
      const RoundRule rounding = RuleOf(op.rounding);
      const Multiplier scale = EntryFor(op.readout, head);
      const Rounder<std::int64_t> narrowed(op.state_shift, inner.RuleAt(Site::kNarrowed, rounding));
      std::vector<Int> sums(static_cast<std::size_t>(values));
      std::int32_t least = 0;
      for (std::int64_t k = 0; k < keys; ++k) {
        const Int query = sequence.query[static_cast<std::size_t>(row * keys + k)];
        for (std::size_t v = 0; v < sums.size(); ++v) {
          const std::int32_t s = state[static_cast<std::size_t>(k * values) + v];
          least = std::min(least, s);
          sums[v] += query * narrowed(s);
        }
      }
      inner.NoteShifts(Site::kNarrowed, op.state_shift, rounding, least < 0);
      for (const Int sum : sums)
        out.push_back(static_cast<std::int64_t>(
            RoundBy(Int128{sum} * scale.m, scale.shift, rounding) + op.zero));
    }
  }

  // By chunks only the operands differ: the golden operation is run on them.
  void Chunks(const AnyRecurrence& op, const HeadSequence& sequence, std::int64_t head,
              Multiplier scale, std::int64_t length, std::int64_t rows, Codes& state, Inner& inner,
              std::vector<std::int64_t>& out) const {
    const bool carried = inner.Does(Site::kChunkCarried, true);
    const GatedChunk& all_rows = sequence.all;
    const auto part = [this](const Codes& all, std::int64_t first, std::int64_t count) {
      const std::int64_t width = std::ssize(all) / rows_;
      return Codes(all.begin() + first * width, all.begin() + (first + count) * width);
    };
    for (std::int64_t first = 0; first < std::min(rows, rows_); first += length) {
      const std::int64_t count = std::min(length, rows_ - first);
      if (!carried) state = sequence.initial;
      const GatedChunk chunk = {.rows = count,
                                .keys = all_rows.keys,
                                .values = all_rows.values,
                                .key = part(all_rows.key, first, count),
                                .value = part(all_rows.value, first, count),
                                .decay = part(all_rows.decay, first, count),
                                .decay_shift = all_rows.decay_shift};
      if constexpr (kReads) {
        StateReadoutParams params = op.Readout(head, {INT32_MIN, INT32_MAX});
        Codes read(static_cast<std::size_t>(count * op.update.value_width));
        const Int128 most = Int128{op.update.key_width} *
                            Widest(program_.Tensor(op.query).range, op.query_zero) *
                            ((Widest(range_, 0) >> op.state_shift) + 1);
        ChunkReadout(chunk, part(sequence.query, first, count), state, scale, op.score_shift,
                     static_cast<std::int64_t>(most), params, read);
        out.insert(out.end(), read.begin(), read.end());
      }
      ChunkUpdate(chunk, scale, op.update.rounding, range_, state);
    }
  }

  // Whether chunks of so many rows stay within the bounds of section 17.2.
  bool Holds(std::int64_t rows) const {
    const GatedUpdateParams& update = op_.update;
    const Int128 key = Widest(program_.Tensor(op_.key).range, update.key_zero);
    const Int128 value = Widest(program_.Tensor(op_.value).range, update.value_zero);
    std::int64_t most = 0;
    for (const Multiplier m : update.update) most = std::max<std::int64_t>(most, std::abs(m.m));
    bool holds = (key * value * rows * most << kChunkGuard) <= Int128{1} << 62;
    if constexpr (kReads) {
      const ChunkBounds bounds = {rows, update.key_width,
                                  Widest(program_.Tensor(op_.query).range, op_.query_zero),
                                  static_cast<std::int64_t>(key), static_cast<std::int64_t>(value)};
      holds = holds && LeastScoreShift(bounds, most) <= op_.score_shift;
    }
    return holds;
  }

  const Program& program_;
  const AnyRecurrence op_;
  QuantRange range_;
  std::vector<Image> images_;
  std::int64_t rows_ = 0, size_ = 0, out_heads_ = 1, query_heads_ = 1, most_chunk_ = 0;
  StateHeads heads_;
};

}  // namespace

std::unique_ptr<InnerPieces> MakeRecurrencePieces(const Program& program, const Op& op,
                                                  const std::vector<TensorMap>& inputs) {
  if (const auto* recurrence = std::get_if<RecurrenceOp>(&op))
    return std::make_unique<RecurrencePieces<RecurrenceOp>>(program, *recurrence, inputs);
  if (const auto* state = std::get_if<RecurrenceStateOp>(&op))
    return std::make_unique<RecurrencePieces<RecurrenceStateOp>>(program, *state, inputs);
  return nullptr;
}

}  // namespace qsim::explain
