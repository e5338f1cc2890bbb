#include "sim/cli/bench_command.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "golden/kernels/choice.h"
#include "golden/kernels/instruction_set.h"
#include "golden/program/executor.h"
#include "sim/cli/model_options.h"
#include "sim/statistics/median.h"

namespace qsim::cli {
namespace {

using Json = nlohmann::ordered_json;

// Median seconds of a call: at least five, a tenth of a second of them.
template <typename Call>
double Seconds(Call call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || (total < 0.1 && times.size() < 1000)) {
    const auto start = Clock::now();
    call();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
    if (times.size() == 1) total = 0;  // the first one warms up
  }
  return Median(std::move(times));
}

struct Case {
  std::string name;
  Program program;
  TensorMap inputs;
  double macs = 0;  // 0: no product
};

class Drawn {
 public:
  template <typename T>
  std::vector<T> Values(std::int64_t count, std::int64_t lo, std::int64_t hi) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& v : values)
      v = static_cast<T>(
          lo + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(hi - lo + 1)));
    return values;
  }

 private:
  std::mt19937_64 random_;
};

constexpr QuantRange kUint8 = {0, 255}, kInt8 = {-128, 127}, kInt16 = {-32768, 32767},
                     kInt32 = {INT32_MIN, INT32_MAX};

// A program of one operation and its operands.
struct Builder {
  Case of;
  Drawn drawn;

  explicit Builder(std::string name) { of.name = std::move(name); }
  template <typename T>
  void Input(const std::string& name, Shape shape, QuantRange range) {
    IntTensor value(shape, drawn.Values<T>(ElementCount(shape), range.qmin, range.qmax));
    of.program.tensors.push_back({name, shape, value.dtype(), range});
    of.program.inputs.push_back(name);
    of.inputs.emplace(name, std::move(value));
  }
  void Output(Shape shape, QuantRange range) {
    of.program.tensors.push_back({"y", std::move(shape), StorageFor(range), range});
  }
  Case Take(Op op) && {
    of.program.ops.push_back(std::move(op));
    Validate(of.program);
    return std::move(of);
  }
};

std::vector<Multiplier> Ratios(Drawn& drawn, std::int64_t channels) {
  std::vector<Multiplier> ratios;
  for (const std::int32_t m : drawn.Values<std::int32_t>(channels, 16384, 32767))
    ratios.push_back({m, 24});
  return ratios;
}

Case Product(const std::string& name, std::int64_t m, std::int64_t k, std::int64_t n) {
  Builder b(name);
  b.Input<std::uint8_t>("x", {m, k}, kUint8);
  b.Output({m, n}, kInt32);
  b.of.program.constants["w"] = IntTensor({n, k}, b.drawn.Values<std::int8_t>(n * k, -127, 127));
  b.of.program.constants["b"] = IntTensor({n}, b.drawn.Values<std::int32_t>(n, -9999, 9999));
  b.of.macs = static_cast<double>(m * k * n);
  GemmOp op;
  op.output = "y";
  op.input = "x";
  op.weight = "w";
  op.bias = "b";
  return std::move(b).Take(op);
}

// Of a language model of 256 channels: four heads with a state of 32 x 64 each.
std::vector<Case> SequenceOperations() {
  constexpr std::int64_t kTokens = 2048, kDim = 256, kHeads = 4, kTaps = 4;
  constexpr QuantRange kState = {-(1 << 23), (1 << 23) - 1};
  std::vector<Case> cases;
  {
    Builder b("causal_conv 2048x256, 4 taps");
    b.Input<std::int8_t>("x", {kTokens, kDim}, kInt8);
    b.Input<std::int8_t>("past", {kTaps - 1, kDim}, kInt8);
    b.Output({kTokens, kDim}, kInt32);
    b.of.program.constants["w"] =
        IntTensor({kDim, kTaps}, b.drawn.Values<std::int8_t>(kDim * kTaps, -127, 127));
    b.of.program.constants["b"] =
        IntTensor({kDim}, b.drawn.Values<std::int32_t>(kDim, -9999, 9999));
    cases.push_back(std::move(b).Take(CausalConvOp{"y", "x", "past", "w", "b", {}}));
  }
  const auto recurrence = [&](const std::string& name, auto op) {
    Builder b(name);
    op.update.key_width = 32;
    op.update.value_width = 64;
    op.update.decay_zero = -1;
    op.update.update = {{40000, 34}};
    op.output = "y";
    op.key = "k";
    op.value = "v";
    op.decay = "a";
    op.past = "past";
    b.Input<std::int16_t>("k", {kTokens, kHeads * 32}, kInt16);
    b.Input<std::int16_t>("v", {kTokens, kDim}, kInt16);
    b.Input<std::uint8_t>("a", {kTokens, kHeads * 32}, kUint8);
    b.Input<std::int32_t>("past", {kHeads, 32, 64}, kState);
    if constexpr (requires { op.query; }) {
      op.query = "q";
      op.state_shift = 8;
      op.readout = {{40000, 38}};
      b.Input<std::int16_t>("q", {kTokens, kHeads * 32}, kInt16);
      b.Output({kTokens, kDim}, kInt16);
    } else {
      b.Output({kHeads, 32, 64}, kState);
    }
    cases.push_back(std::move(b).Take(std::move(op)));
  };
  recurrence("recurrence 2048x4x32x64", RecurrenceOp());
  recurrence("its state", RecurrenceStateOp());
  return cases;
}

// The shapes of ViT-B/16.
std::vector<Case> Operations() {
  constexpr std::int64_t kTokens = 197, kDim = 768, kHeads = 12;
  std::vector<Case> cases;
  cases.push_back(Product("gemm 197x768x768", kTokens, kDim, kDim));
  {
    Builder b("matmul 12 heads 197x64x197");
    b.Input<std::int8_t>("q", {kTokens, kDim}, kInt8);
    b.Input<std::int8_t>("k", {kTokens, kDim}, kInt8);
    b.Output({kHeads, kTokens, kTokens}, kInt32);
    MatmulOp op;
    op.output = "y";
    op.lhs = "q";
    op.rhs = "k";
    op.heads = kHeads;
    op.transpose_rhs = true;
    op.lhs_zero = op.rhs_zero = {0};
    cases.push_back(std::move(b).Take(op));
  }
  {
    Builder b("requantize 197x2304");
    b.Input<std::int32_t>("x", {kTokens, 3 * kDim}, {-9999999, 9999999});
    b.of.program.tensors.back().range = kInt32;
    b.Output({kTokens, 3 * kDim}, kInt8);
    RequantizeOp op;
    op.output = "y";
    op.input = "x";
    op.axis = ChannelAxis::kLast;
    op.scale = Ratios(b.drawn, 3 * kDim);
    op.zero = {0};
    cases.push_back(std::move(b).Take(op));
  }
  {
    Builder b("residual_add 197x768");
    b.Input<std::int32_t>("a", {kTokens, kDim}, {-9999999, 9999999});
    b.of.program.tensors.back().range = kInt32;
    b.Input<std::int16_t>("b", {kTokens, kDim}, kInt16);
    b.Output({kTokens, kDim}, kInt16);
    ResidualAddOp op;
    op.output = "y";
    op.a = "a";
    op.b = "b";
    op.a_multiplier = b.drawn.Values<std::int32_t>(kDim, 1000, 32767);
    op.b_multiplier = {1 << 20};
    op.shift = 20;
    cases.push_back(std::move(b).Take(op));
  }
  for (const SoftmaxDivision division : {SoftmaxDivision::kBefore, SoftmaxDivision::kAfter}) {
    Builder b(fmt::format("softmax {} 12x197x197", Name(division)));
    b.Input<std::int8_t>("x", {kHeads, kTokens, kTokens}, kInt8);
    b.Output({kHeads, kTokens, kTokens}, kUint8);
    SoftmaxOp op;
    op.output = "y";
    op.input = "x";
    op.params = {IbertRnSoftmaxParams{{-17, 66, 1674, 30}, 1 << 20, 45, 0}};
    op.division = division;
    cases.push_back(std::move(b).Take(op));
  }
  {
    Builder b("layernorm 197x768");
    b.Input<std::int16_t>("x", {kTokens, kDim}, kInt16);
    b.Output({kTokens, kDim}, kUint8);
    IbertLayernormParams params;
    params.bias = b.drawn.Values<std::int64_t>(kDim, -99999, 99999);
    params.std_shift = 4;
    params.scale = Ratios(b.drawn, kDim);
    for (Multiplier& m : params.scale) m.shift = 38;
    params.zero = {128};
    LayernormOp op;
    op.output = "y";
    op.input = "x";
    op.params = params;
    cases.push_back(std::move(b).Take(op));
  }
  {
    Builder b("gelu table 197x3072");
    b.Input<std::int8_t>("x", {kTokens, 4 * kDim}, kInt8);
    b.Output({kTokens, 4 * kDim}, kInt8);
    GeluOp op;
    op.output = "y";
    op.input = "x";
    op.params = GeluTableParams{b.drawn.Values<std::int32_t>(256, -128, 127)};
    cases.push_back(std::move(b).Take(op));
  }
  for (Case& c : SequenceOperations()) cases.push_back(std::move(c));
  return cases;
}

double SecondsOf(const Case& c, Backend& backend) {
  return Seconds([&] { Execute(c.program, c.inputs, 0, backend); });
}

double EigenSeconds(const Case& c) {
  using Matrix = Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto of = [](const auto& values, const Shape& shape) {
    Matrix matrix(shape[0], shape[1]);
    std::copy(values.begin(), values.end(), matrix.data());
    return matrix;
  };
  const IntTensor& w = c.program.Constant("w");
  const Matrix x = of(c.inputs.at("x").As<std::uint8_t>(), c.inputs.at("x").shape());
  const Matrix weight = of(w.As<std::int8_t>(), w.shape());
  Matrix y;
  return Seconds([&] { y.noalias() = x * weight.transpose(); });
}

}  // namespace

Command AddBench(CommandLine& line, BenchOptions& options) {
  const Command command = line.Add("bench", "What this machine computes in a second");
  command.Footer(
      "Products of vision transformers beside Eigen's in int32, and operations of\n"
      "ViT-B/16 and of a recurrent language model beside the specification, on one\n"
      "thread: medians and ratios.\n"
      "scripts/bench.sh adds oneDNN, scripts/bench_peers.sh ONNX Runtime and PyTorch.\n\n"
      "Example: qsim bench --kernels avx2");
  AddKernelsOption(command, options.kernels);
  command.Flag("--json", options.json, "Print the result as JSON");
  return command;
}

int RunBench(const BenchOptions& options) {
  const Kernels kernels = KernelsOf(options.kernels);
  Json json = {{"kernels", Name(kernels)},
               {"instruction_set", kernels::InstructionSet()},
               {"products", Json::array()},
               {"operations", Json::array()}};
  std::string text =
      fmt::format("kernels {}, {}, one thread\n{:<28}{:>12}{:>12}{:>12}\n", Name(kernels),
                  kernels::InstructionSet(), "products", "ms", "GMAC/s", "/ Eigen");
  struct Shape {
    const char* name;
    std::int64_t m, k, n;
  };
  for (const Shape& s : {Shape{"deit-t fc1", 197, 192, 768}, Shape{"vit-s qkv", 197, 384, 1152},
                         Shape{"vit-b qkv", 197, 768, 2304}, Shape{"vit-b fc2", 197, 3072, 768},
                         Shape{"vit-l fc1", 197, 1024, 4096}, Shape{"1024^3", 1024, 1024, 1024},
                         Shape{"random", 61, 333, 517}}) {
    const Case c = Product(fmt::format("{} {}x{}x{}", s.name, s.m, s.k, s.n), s.m, s.k, s.n);
    ChosenBackend backend(kernels, c.program);
    const double own = SecondsOf(c, *backend), eigen = EigenSeconds(c);
    const double rate = 1e-9 * c.macs / own;
    text +=
        fmt::format("  {:<26}{:>12.3f}{:>12.1f}{:>12.1f}\n", c.name, 1e3 * own, rate, eigen / own);
    json["products"].push_back(
        {{"name", c.name}, {"seconds", own}, {"gmac_per_second", rate}, {"eigen_seconds", eigen}});
  }
  text += fmt::format("{:<28}{:>12}{:>12}{:>12}\n", "operations", "ms", "reference", "times");
  for (const Case& c : Operations()) {
    ChosenBackend backend(kernels, c.program);
    GoldenBackend golden;
    const double own = SecondsOf(c, *backend), reference = SecondsOf(c, golden);
    text += fmt::format("  {:<26}{:>12.3f}{:>12.2f}{:>12.1f}\n", c.name, 1e3 * own, 1e3 * reference,
                        reference / own);
    json["operations"].push_back(
        {{"name", c.name}, {"seconds", own}, {"reference_seconds", reference}});
  }
  std::cout << (options.json ? json.dump(2) + "\n" : text);
  return 0;
}

}  // namespace qsim::cli
