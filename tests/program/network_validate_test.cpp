// The rules of the operations around the attention datapath, broken one at a time; and programs
// that pass cannot crash.
#include <array>

#include "golden/program/executor.h"
#include "tests/program/network_program.h"
#include "tests/program/rejected.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using testing::ExpectRejected;
using testing::kClasses;
using testing::kDim;
using testing::kPatches;
using testing::NetworkInputs;
using testing::NetworkProgram;
using testing::OpNamed;
using testing::SeededRandom;
using testing::TensorNamed;

Program Valid(testing::NetworkProgramOptions options = {}) {
  SeededRandom random;
  return NetworkProgram(random, options);
}

TEST(Validate, GemmRows) {
  const auto op = [](Program& p) -> GemmOp& { return OpNamed<GemmOp>(p, "logits"); };
  ExpectRejected(Valid(), {
                              {"gemm 'logits': rows is -1, must be 0 (all) or up to the input's 7",
                               [&](Program& p) { op(p).rows = -1; }},
                              {"rows is 8", [&](Program& p) { op(p).rows = 8; }},
                              {"'logits' has the wrong shape", [&](Program& p) { op(p).rows = 0; }},
                              {"'logits' has the wrong shape", [&](Program& p) { op(p).rows = 2; }},
                              {"'patch_embed' has the wrong shape",
                               [](Program& p) { OpNamed<GemmOp>(p, "patch_embed").rows = 1; }},
                          });
  Program every_row = Valid();
  op(every_row).rows = kPatches + 1;
  TensorNamed(every_row, "logits").shape = {kPatches + 1, kClasses};
  EXPECT_EQ(ErrorOf(every_row), "");
}

TEST(Validate, Patchify) {
  const auto op = [](Program& p) -> PatchifyOp& { return OpNamed<PatchifyOp>(p, "patches"); };
  ExpectRejected(
      Valid(),
      {
          {"patchify 'patches': needs uint8 pixels [C, H, W]",
           [](Program& p) {
             TensorNamed(p, "image").shape = {8, 6};
           }},
          {"needs uint8 pixels", [](Program& p) { TensorNamed(p, "image").dtype = DType::kInt16; }},
          {"patch must divide the image's height and width, is 0",
           [&](Program& p) { op(p).patch = 0; }},
          {"patch must divide", [&](Program& p) { op(p).patch = -2; }},
          {"patch must divide", [&](Program& p) { op(p).patch = 3; }},
          {"patch must divide", [&](Program& p) { op(p).patch = 4; }},
          {"patch must divide", [&](Program& p) { op(p).patch = INT64_MIN; }},
          {"'patches' has the wrong shape", [&](Program& p) { op(p).patch = 1; }},
          {"output needs the type and range of the input",
           [](Program& p) { TensorNamed(p, "image").range.qmax = 254; }},
          {"output needs the type and range of the input",
           [](Program& p) { TensorNamed(p, "patches").dtype = DType::kInt16; }},
          {"uses 'nothing' before it is computed", [&](Program& p) { op(p).input = "nothing"; }},
      });
}

TEST(Validate, Embed) {
  const auto op = [](Program& p) -> EmbedOp& { return OpNamed<EmbedOp>(p, "embed"); };
  const auto position = [](Program& p) -> std::vector<std::int32_t>& {
    return p.constants["embed.position"].As<std::int32_t>();
  };
  ExpectRejected(
      Valid(),
      {
          {"embed 'embed': needs [tokens, channels]",
           [](Program& p) {
             TensorNamed(p, "embed").shape = {1, 7, 4};
           }},
          {"'patch_embed' has the wrong shape",
           [](Program& p) {
             TensorNamed(p, "embed").shape = {1, 4};
           }},
          {"position must be int32 [tokens, channels]",
           [](Program& p) {
             TensorNamed(p, "embed").shape = {8, 4};
           }},
          {"'patches' has the wrong shape", [&](Program& p) { op(p).a = "patches"; }},
          {"uses 'norm' before it is computed", [&](Program& p) { op(p).a = "norm"; }},
          {"constant 'nothing' is used but not defined",
           [&](Program& p) { op(p).position = "nothing"; }},
          {"position must be int32 [tokens, channels]",
           [](Program& p) {
             p.constants["embed.position"] = IntTensor(DType::kInt16, {7, 4});
           }},
          {"position must be int32 [tokens, channels]",
           [](Program& p) {
             p.constants["embed.position"] = IntTensor(DType::kInt32, {6, 4});
           }},
          {"position[9] is 65536, must be in -65535..65535",
           [&](Program& p) { position(p)[9] = 65536; }},
          {"position[27] is -65536", [&](Program& p) { position(p)[27] = -65536; }},
          {"position[2], of a row in front of the patches, is 32768, outside the output's range",
           [&](Program& p) { position(p)[2] = 32768; }},
          {"position[0], of a row in front of the patches, is -32769",
           [&](Program& p) { position(p)[0] = -32769; }},
          {"a_multiplier needs one entry or 4, has 3",
           [&](Program& p) { op(p).a_multiplier.pop_back(); }},
          {"a_multiplier needs one entry or 4, has 0",
           [&](Program& p) { op(p).a_multiplier = {}; }},
          {"a_multiplier[1] is -2147483648",
           [&](Program& p) { op(p).a_multiplier[1] = INT32_MIN; }},
          {"b_multiplier[0] is -2147483648", [&](Program& p) { op(p).b_multiplier = INT32_MIN; }},
          {"shift must be in 0..62", [&](Program& p) { op(p).shift = 63; }},
          {"shift must be in 0..62", [&](Program& p) { op(p).shift = -1; }},
          {"zero point[0] is 65537", [&](Program& p) { op(p).out_zero = 65537; }},
      });
  Program narrow = Valid();
  TensorInfo& a = TensorNamed(narrow, "norm");
  a.shape = {kPatches, kDim};
  op(narrow).a = "norm";
  narrow.ops.erase(narrow.ops.begin() + 3);
  narrow.ops.insert(
      narrow.ops.begin() + 2,
      RequantizeOp{
          "norm", "patch_embed", 0, ChannelAxis::kNone, {{1, 9}}, {0}, 0, Rounding::kFloor});
  EXPECT_THAT(ErrorOf(narrow), ::testing::HasSubstr("'norm' must be int32 accumulators"));
}

TEST(Validate, GeluTable) {
  const auto op = [](Program& p) -> GeluOp& { return OpNamed<GeluOp>(p, "gelu"); };
  const auto table = [&](Program& p) -> std::vector<std::int32_t>& {
    return std::get<GeluTableParams>(op(p).params).table;
  };
  ExpectRejected(
      Valid(),
      {
          {"gelu 'gelu': 'fc1.acc' must be at most 16 bits wide for table",
           [&](Program& p) { op(p).input = "fc1.acc"; }},
          {"'gelu' has the wrong shape",
           [](Program& p) {
             TensorNamed(p, "gelu").shape = {7, 5};
           }},
          {"table needs 256 entries, one per code of the input, has 255",
           [&](Program& p) { table(p).pop_back(); }},
          {"table needs 256 entries", [&](Program& p) { table(p).push_back(0); }},
          {"table needs 256 entries", [&](Program& p) { table(p).clear(); }},
          {"table needs 246 entries, one per code of the input, has 256",
           [](Program& p) { TensorNamed(p, "fc1").range.qmin = -118; }},
          {"table[3] is 128, must be in -128..127", [&](Program& p) { table(p)[3] = 128; }},
          {"table[255] is -129, must be in -128..127", [&](Program& p) { table(p)[255] = -129; }},
      });
}

TEST(Validate, GeluIbert) {
  const auto op = [](Program& p) -> GeluIbertParams& {
    return std::get<GeluIbertParams>(OpNamed<GeluOp>(p, "gelu").params);
  };
  ExpectRejected(
      Valid({.gelu = GeluKind::kIbert}),
      {
          {"'fc1.acc' must be at most 16 bits wide for ibert",
           [](Program& p) { OpNamed<GeluOp>(p, "gelu").input = "fc1.acc"; }},
          {"gelu 'gelu': Gelu: b must be in", [&](Program& p) { op(p).b = 0; }},
          {"b must be in", [&](Program& p) { op(p).b = -kMaxGeluB - 1; }},
          {"c must be in", [&](Program& p) { op(p).c = 0; }},
          {"c must be in", [&](Program& p) { op(p).c = INT64_MIN; }},
          {"shift_int must be in", [&](Program& p) { op(p).shift_int = 0; }},
          {"shift_int must be in", [&](Program& p) { op(p).shift_int = -kMaxGeluC - 1; }},
          {"n must be in", [&](Program& p) { op(p).n = -1; }},
          {"n must be in", [&](Program& p) { op(p).n = 31; }},
          {"multiplier of channel 0 is 0, out of range", [&](Program& p) { op(p).scale.m = 0; }},
          {"shift of channel 0 is 63", [&](Program& p) { op(p).scale.shift = 63; }},
          {"zero point[0] is 65537", [&](Program& p) { op(p).input_zero = 65537; }},
          {"zero point[1] is -65537", [&](Program& p) { op(p).zero = -65537; }},
      });
}

// Sets one parameter of a random operation to an extreme or a random value.
void Mutate(SeededRandom& random, Program& program) {
  constexpr std::array<std::int64_t, 22> kValues = {INT64_MIN, -(std::int64_t{1} << 33),
                                                    INT32_MIN, -65537,
                                                    -65536,    -65535,
                                                    -129,      -128,
                                                    -1,        0,
                                                    1,         2,
                                                    14,        30,
                                                    62,        127,
                                                    255,       65535,
                                                    65536,     65537,
                                                    INT32_MAX, 1 << 20};
  const auto value = [&] { return kValues[static_cast<std::size_t>(random.Between(0, 21))]; };
  const auto narrow = [&] { return static_cast<std::int32_t>(value()); };
  const auto any = [&](auto& values) -> auto& {
    return values[static_cast<std::size_t>(
        random.Between(0, static_cast<std::int64_t>(values.size()) - 1))];
  };
  if (random.Between(0, 7) == 0) {
    TensorInfo& info = any(program.tensors);
    (random.Between(0, 1) == 0 ? info.range.qmin : info.range.qmax) = narrow();
    return;
  }
  switch (random.Between(0, 3)) {
    case 0:
      OpNamed<PatchifyOp>(program, "patches").patch = value();
      return;
    case 1: {
      EmbedOp& op = OpNamed<EmbedOp>(program, "embed");
      const std::int64_t which = random.Between(0, 5);
      if (which == 0) any(op.a_multiplier) = narrow();
      if (which == 1) op.b_multiplier = narrow();
      if (which == 2) op.shift = narrow();
      if (which == 3) op.out_zero = narrow();
      if (which >= 4) any(program.constants[op.position].As<std::int32_t>()) = narrow();
      return;
    }
    case 2: {
      GeluOp& op = OpNamed<GeluOp>(program, "gelu");
      const std::int64_t which = random.Between(0, 7);
      if (auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
        any(lookup->table) = narrow();
        return;
      }
      auto& ibert = std::get<GeluIbertParams>(op.params);
      if (which == 0) ibert.input_zero = narrow();
      if (which == 1) ibert.b = value();
      if (which == 2) ibert.c = value();
      if (which == 3) ibert.shift_int = value();
      if (which == 4) ibert.n = narrow();
      if (which == 5) ibert.scale.m = narrow();
      if (which == 6) ibert.scale.shift = narrow();
      if (which == 7) ibert.zero = narrow();
      return;
    }
    default:
      OpNamed<GemmOp>(program, "logits").rows = value();
  }
}

TEST(Validate, NetworkThatPassesCanBeExecuted) {
  SeededRandom random;
  int executed = 0;
  int rejected = 0;
  const std::vector<testing::NetworkProgramOptions> all = testing::AllNetworkOptions();
  for (std::size_t repeat = 0; repeat < 20000; ++repeat) {
    Program program = NetworkProgram(random, all[repeat % all.size()]);
    for (std::int64_t n = random.Between(1, 3); n > 0; --n) Mutate(random, program);
    if (!ErrorOf(program).empty() || program.Tensor("image").range != testing::kUint8Range) {
      ++rejected;
      continue;
    }
    ++executed;
    GoldenBackend backend;
    EXPECT_NO_THROW(Execute(program, NetworkInputs(random), 0, backend)) << "repeat " << repeat;
  }
  EXPECT_GT(executed, 2000);
  EXPECT_GT(rejected, 3000);
}

}  // namespace
}  // namespace qsim::testing
