// Recurrences with an inner step done otherwise, computed here from the formulas of
// docs/numerics.md section 17.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/op_models.h"
#include "tests/explain/oracle.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

using Values = std::vector<std::int64_t>;

struct Sequences {
  std::int64_t images, rows, heads, keys, values, query_heads;
  int state_shift;
  std::int32_t state_most;
  GatedUpdateParams update;
  RecurrenceOp op;
  std::vector<Values> query, key, value, decay, past;  // of each image

  explicit Sequences(SeededRandom& random) {
    images = random.Between(2, 3);
    rows = random.Between(18, 40);
    heads = random.Between(2, 4);
    keys = random.Between(4, 8);
    values = random.Between(4, 8);
    query_heads = random.Between(0, 1) == 0 ? heads : 2 * heads;
    state_shift = static_cast<int>(random.Between(3, 6));
    state_most = 32767;
    update.key_width = static_cast<int>(keys);
    update.value_width = static_cast<int>(values);
    update.key_zero = static_cast<std::int32_t>(random.Between(-4, 4));
    update.value_zero = static_cast<std::int32_t>(random.Between(-4, 4));
    update.decay_shift = 8;
    for (std::int64_t h = 0; h < heads; ++h)
      update.update.push_back({static_cast<std::int32_t>(random.Between(30000, 60000)), 17});
    op.output = "y";
    op.query = "q";
    op.key = "k";
    op.value = "v";
    op.decay = "a";
    op.past = "s";
    op.update = update;
    op.state_shift = state_shift;
    for (std::int64_t h = 0; h < query_heads; ++h)
      op.readout.push_back(
          {static_cast<std::int32_t>(random.Between(20000, 40000)), 28 - state_shift});
    op.zero = 2;
    for (std::int64_t i = 0; i < images; ++i) {
      query.push_back(Drawn(random, rows * query_heads * keys, -128, 127));
      key.push_back(Drawn(random, rows * heads * keys, -128, 127));
      value.push_back(Drawn(random, rows * heads * values, -128, 127));
      decay.push_back(Drawn(random, rows * heads, 150, 255));
      past.push_back(Drawn(random, heads * keys * values, -3000, 3000));
    }
  }

  void ByChunksOf(int rows_of_one) {
    update.chunk = op.update.chunk = rows_of_one;
    op.score_shift = 2;
  }

  void UpdateBy(int shift) {
    for (Multiplier& m : update.update) m.shift = shift;
    op.update = update;
  }

  static Values Drawn(SeededRandom& random, std::int64_t count, std::int64_t low,
                      std::int64_t high) {
    Values list;
    for (std::int64_t i = 0; i < count; ++i) list.push_back(random.Between(low, high));
    return list;
  }

  static mpz_class Stored(const mpz_class& value, const Fault& fault) {
    mpz_class s = value;
    if (fault.at == "state_step") {
      const mpz_class unit = PowerOfTwo(static_cast<int>(fault.number));
      s = Rounded(s, unit, fault.rule) * unit;
    }
    const auto bits = static_cast<int>(fault.Number("state_bits", 16));
    if (fault.at == "wrap") return Big(Wrapped(s, 16));
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    return Big(Clamped(s, -half, half - 1));
  }

  // What the readout gives; `states` is left behind the last row.
  Values Readout(const Fault& fault, bool state_only) const {
    Values out;
    std::vector<mpz_class> state;
    for (std::int64_t i = 0; i < images; ++i) {
      const auto image = static_cast<std::size_t>(i);
      const auto initial = [&] {
        std::vector<mpz_class> list;
        for (const std::int64_t s : past[image])
          list.push_back(fault.at == "initial" ? mpz_class(0) : Big(s));
        return list;
      };
      if (i == 0 || fault.at != "carried") state = initial();
      for (std::int64_t t = 0; t < rows; ++t) {
        if (fault.at == "reset" && t % fault.number == 0) state = initial();
        if (fault.at == "read_before" && !state_only) Read(image, t, state, fault, out);
        Step(image, t, state, fault);
        if (fault.at != "read_before" && !state_only) Read(image, t, state, fault, out);
      }
      if (state_only)
        for (const mpz_class& s : state) out.push_back(s.get_si());
    }
    return out;
  }

  void Step(std::size_t image, std::int64_t t, std::vector<mpz_class>& state,
            const Fault& fault) const {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t other = (h + fault.Number("decay_head", 0)) % heads;
      const std::int64_t a =
          fault.at == "no_decay" ? 256 : decay[image][static_cast<std::size_t>(t * heads + other)];
      const Multiplier m = update.update[static_cast<std::size_t>(h)];
      for (std::int64_t k = 0; k < keys; ++k) {
        for (std::int64_t v = 0; v < values; ++v) {
          mpz_class& s = state[static_cast<std::size_t>((h * keys + k) * values + v)];
          const mpz_class product =
              Big(key[image][static_cast<std::size_t>((t * heads + h) * keys + k)] -
                  update.key_zero) *
              Big(value[image][static_cast<std::size_t>((t * heads + h) * values + v)] -
                  update.value_zero) *
              Big(m.m);
          if (fault.at == "once") {
            const mpz_class sum = s * Big(a) * PowerOfTwo(m.shift) + product * 256;
            s = Stored(Rounded(sum, PowerOfTwo(m.shift + 8), "half_up"), fault);
          } else {
            s = Stored(Rounded(s * Big(a), 256, fault.Rule("decayed", "half_up")) +
                           Rounded(product, PowerOfTwo(m.shift), fault.Rule("update", "half_up")),
                       fault);
          }
        }
      }
    }
  }

  void Read(std::size_t image, std::int64_t t, const std::vector<mpz_class>& state,
            const Fault& fault, Values& out) const {
    for (std::int64_t h = 0; h < query_heads; ++h) {
      const std::int64_t of_state = fault.at == "sharing" ? h % heads : h / (query_heads / heads);
      const Multiplier m = op.readout[static_cast<std::size_t>(h)];
      for (std::int64_t v = 0; v < values; ++v) {
        mpz_class sum = 0;
        for (std::int64_t k = 0; k < keys; ++k)
          sum += Big(query[image][static_cast<std::size_t>((t * query_heads + h) * keys + k)]) *
                 Rounded(state[static_cast<std::size_t>((of_state * keys + k) * values + v)],
                         PowerOfTwo(state_shift), fault.Rule("narrowed", "half_up"));
        out.push_back(
            Clamped(Rounded(sum * Big(m.m), PowerOfTwo(m.shift), "half_up") + op.zero, -128, 127));
      }
    }
  }

  // By chunks, with chunks of another length or with a state that is not carried on.
  Values ByChunks(const Program& program, const std::vector<TensorMap>& inputs,
                  const Fault& fault) const {
    Values out;
    for (const TensorMap& image : inputs) {
      const std::int64_t piece = fault.at == "not_carried" ? update.chunk : rows;
      for (std::int64_t first = 0; first < rows; first += piece) {
        const std::int64_t count = std::min(piece, rows - first);
        Program part = program;
        std::visit(
            [&](auto& one) {
              if constexpr (requires { one.update; })
                one.update.chunk = static_cast<int>(fault.Number("chunk", update.chunk));
            },
            part.ops.front());
        TensorMap tensors;
        for (const auto& [name, tensor] : image) {
          if (name == "s") {
            tensors.emplace(name, tensor);
            continue;
          }
          const auto& all = tensor.As<std::int16_t>();
          const std::int64_t width = tensor.shape()[1];
          tensors.emplace(
              name, IntTensor({count, width},
                              std::vector<std::int16_t>(all.begin() + first * width,
                                                        all.begin() + (first + count) * width)));
        }
        for (TensorInfo& spec : part.tensors)
          if (spec.name != "s" && spec.name != "y") spec.shape[0] = count;
        TensorInfo& output = part.tensors.back();
        if (output.shape.size() == 2) output.shape[0] = count;
        GoldenBackend backend;
        const TensorMap results = Execute(part, tensors, 0, backend);
        const WideTensor y = Widen(results.at("y"));
        if (output.shape.size() == 2 || first + count == rows)
          out.insert(out.end(), y.values.begin(), y.values.end());
      }
    }
    return out;
  }

  Plant Explained(const Fault& fault, std::vector<std::string> right, bool state_only) const {
    const auto tensor = [](const Values& list, Shape shape) {
      return IntTensor(std::move(shape), std::vector<std::int16_t>(list.begin(), list.end()));
    };
    const Shape of_query = {rows, query_heads * keys}, of_key = {rows, heads * keys},
                of_value = {rows, heads * values}, of_decay = {rows, heads},
                of_state = {heads, keys, values}, of_output = {rows, query_heads * values};
    Program program;
    program.tensors = {{"q", of_query, DType::kInt16, {-128, 127}},
                       {"k", of_key, DType::kInt16, {-128, 127}},
                       {"v", of_value, DType::kInt16, {-128, 127}},
                       {"a", of_decay, DType::kInt16, {0, 256}},
                       {"s", of_state, DType::kInt16, {-32768, 32767}}};
    RecurrenceStateOp behind;
    behind.output = "y";
    behind.key = "k";
    behind.value = "v";
    behind.decay = "a";
    behind.past = "s";
    behind.update = update;
    if (state_only) {
      program.tensors.erase(program.tensors.begin());
      program.tensors.push_back({"y", of_state, DType::kInt16, {-32768, 32767}});
      program.inputs = {"k", "v", "a", "s"};
      program.ops = {behind};
    } else {
      program.tensors.push_back({"y", of_output, DType::kInt8, {-128, 127}});
      program.inputs = {"q", "k", "v", "a", "s"};
      program.ops = {op};
    }
    Validate(program);
    std::vector<TensorMap> inputs;
    for (std::size_t i = 0; i < static_cast<std::size_t>(images); ++i) {
      TensorMap image = {{"k", tensor(key[i], of_key)},
                         {"v", tensor(value[i], of_value)},
                         {"a", tensor(decay[i], of_decay)},
                         {"s", tensor(past[i], of_state)}};
      if (!state_only) image.emplace("q", tensor(query[i], of_query));
      inputs.push_back(std::move(image));
    }
    return ExplainOutputs(
        program, inputs,
        update.chunk == 0 ? Readout(fault, state_only) : ByChunks(program, inputs, fault),
        std::move(right),
        fmt::format("{} x {} rows, {} heads of {} x {}, {} queries, chunk {}; {} {} {}", images,
                    rows, heads, keys, values, query_heads, update.chunk, fault.at, fault.rule,
                    fault.number));
  }
};

}  // namespace

std::vector<Kind> RecurrenceKinds() {
  std::vector<Kind> kinds;
  struct Drawn {
    Fault fault;
    std::vector<std::string> right;
  };
  using Draw = std::function<Drawn(SeededRandom&, const Sequences&)>;
  const auto add = [&](const char* name, bool state_only, const Draw& draw) {
    kinds.push_back({name, [state_only, draw](SeededRandom& random) {
                       const Sequences sequences(random);
                       const auto [fault, right] = draw(random, sequences);
                       return sequences.Explained(fault, right, state_only);
                     }});
  };
  const auto rounding = [](const char* at, const char* words) -> Draw {
    return [=](SeededRandom& random, const Sequences&) -> Drawn {
      const std::string rule = AnotherRule(random, "half_up");
      return {{at, rule}, {fmt::format("{} rounded {} instead of", words, rule)}};
    };
  };
  const auto other = [](const char* at, const char* words) -> Draw {
    return [=](SeededRandom&, const Sequences&) -> Drawn { return {{at, "", 1}, {words}}; };
  };
  const auto decay_head = [](SeededRandom& random, const Sequences& sequences) -> Drawn {
    const std::int64_t n = random.Between(1, sequences.heads - 1);
    return {{"decay_head", "", n}, {"the decay of the "}};
  };
  const auto low_bits = [](SeededRandom& random, const Sequences&) -> Drawn {
    const std::int64_t n = random.Between(2, 5);
    const bool floor = random.Between(0, 1) == 0;
    return {{"state_step", floor ? "floor" : "half_up", n},
            {fmt::format(fmt::runtime(floor ? "loses its lowest {} bits"
                                            : "rounded half_up in its lowest {} bits"),
                         n)}};
  };
  const auto fewer_bits = [](SeededRandom& random, const Sequences&) -> Drawn {
    const std::int64_t n = random.Between(12, 14);
    return {{"state_bits", "", n}, {fmt::format("a state of {} bits instead of 16", n)}};
  };
  const auto reset = [](SeededRandom& random, const Sequences&) -> Drawn {
    const std::int64_t n = random.Between(2, 16);
    return {{"reset", "", n}, {fmt::format("the state begun again every {} rows", n)}};
  };
  for (const bool state : {false, true}) {
    const auto named = [&](const char* readout, const char* of_state) {
      return state ? of_state : readout;
    };
    add(named("Decayed", "StateDecayed"), state, rounding("decayed", "the decayed state"));
    add(named("Update", "StateUpdate"), state, rounding("update", "the update of the state"));
    add(named("NoDecay", "StateNoDecay"), state, other("no_decay", "the decay not applied"));
    add(named("DecayOfAnotherHead", "StateDecayOfAnotherHead"), state, decay_head);
    add(named("LowBits", "StateLowBits"), state, low_bits);
    add(named("FewerBits", "StateFewerBits"), state, fewer_bits);
    add(named("Once", "StateOnce"), state, other("once", "rounded once, as a sum"));
    add(named("Carried", "StateCarried"), state, other("carried", "the state not cleared, but"));
    add(named("Initial", "StateInitial"), state, other("initial", "the initial state not loaded"));
    kinds.push_back({named("Wraps", "StateWraps"), [state](SeededRandom& random) {
                       Sequences sequences(random);
                       sequences.UpdateBy(15);  // so that states leave their range
                       return sequences.Explained(
                           {"wrap", "", 1}, {"a state that wraps where it should saturate"}, state);
                     }});
    const auto add_chunk = [&](const char* name, const Draw& draw) {
      kinds.push_back({name, [state, draw](SeededRandom& random) {
                         Sequences sequences(random);
                         sequences.ByChunksOf(static_cast<int>(random.Between(4, 16)));
                         const auto [fault, right] = draw(random, sequences);
                         return sequences.Explained(fault, right, state);
                       }});
    };
    add_chunk(named("ChunkLength", "StateChunkLength"),
              [](SeededRandom& random, const Sequences& sequences) -> Drawn {
                std::int64_t n = random.Between(2, 16);
                if (n == sequences.update.chunk) ++n;
                return {
                    {"chunk", "", n},
                    {fmt::format("chunks of {} rows instead of {}", n, sequences.update.chunk)}};
              });
    add_chunk(named("ChunkNotCarried", "StateChunkNotCarried"),
              other("not_carried", "the state not carried from chunk to chunk"));
  }
  add("Sharing", false, [](SeededRandom&, const Sequences&) -> Drawn {
    return {{"sharing", "", 1}, {"the head by the remainder, not the neighbour"}};
  });
  add("Reset", false, reset);
  add("Narrowed", false, rounding("narrowed", "the state, narrowed for the readout,"));
  add("ReadBefore", false, other("read_before", "the state read before its update"));
  return kinds;
}

}  // namespace qsim::testing
