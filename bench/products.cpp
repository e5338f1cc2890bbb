// Products of the shapes of vision transformers: qsim's beside oneDNN's own, as they are and with a
// requantization behind them. Single thread. Counter: 10^9 multiply-accumulates a second.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "golden/kernels/gemm.h"
#include "golden/kernels/instruction_set.h"
#include "golden/kernels/ratios.h"

// Of the OpenMP that oneDNN brings, where it brings one.
extern "C" [[gnu::weak]] void omp_set_num_threads(int threads);

namespace {

using namespace qsim::golden;

struct Shape {
  const char* name;
  std::int64_t m, k, n;
};
constexpr Shape kShapes[] = {
    {"deit-t qkv", 197, 192, 576},  {"deit-t fc1", 197, 192, 768},  {"deit-t fc2", 197, 768, 192},
    {"vit-s qkv", 197, 384, 1152},  {"vit-s fc1", 197, 384, 1536},  {"vit-s fc2", 197, 1536, 384},
    {"vit-b qkv", 197, 768, 2304},  {"vit-b proj", 197, 768, 768},  {"vit-b fc1", 197, 768, 3072},
    {"vit-b fc2", 197, 3072, 768},  {"vit-b scores", 197, 64, 197}, {"vit-b attn v", 197, 197, 64},
    {"vit-l qkv", 197, 1024, 3072}, {"vit-l fc2", 197, 4096, 1024}, {"1024^3", 1024, 1024, 1024},
    {"random 1", 61, 333, 517},     {"random 2", 300, 77, 129},     {"random 3", 9, 1111, 1300},
};

template <typename Lhs>
struct Operands {
  std::vector<Lhs> lhs;
  std::vector<std::int8_t> weight;  // [N, K]
  std::vector<std::int32_t> bias, out;

  explicit Operands(const Shape& s)
      : lhs(static_cast<std::size_t>(s.m * s.k)),
        weight(static_cast<std::size_t>(s.k * s.n)),
        bias(static_cast<std::size_t>(s.n), 1234),
        out(static_cast<std::size_t>(s.m * s.n)) {
    std::mt19937 random(1);
    for (auto& v : lhs) v = static_cast<Lhs>(random());
    for (auto& v : weight) v = static_cast<std::int8_t>(random());
  }
};

void Count(benchmark::State& state, const Shape& s) {
  state.counters["GMAC/s"] = benchmark::Counter(1e-9 * static_cast<double>(s.m * s.k * s.n),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

template <typename Lhs>
void Own(benchmark::State& state, Shape s) {
  Operands<Lhs> o(s);
  const MatrixView<const std::int8_t> rhs = {o.weight.data(), s.k, s.n, 1, s.k};
  const kernels::PackedWeight packed(rhs);
  GemmParams params;
  params.bias = o.bias;
  params.lhs_zero = 3;
  for (auto _ : state) {
    kernels::Gemm(MatrixView<const Lhs>{o.lhs.data(), s.m, s.k, s.k, 1}, rhs, params,
                  {o.out.data(), s.m, s.n, s.n, 1}, nullptr, &packed);
    benchmark::DoNotOptimize(o.out.data());
  }
  Count(state, s);
}

RequantizeParams Requantization(const std::vector<Multiplier>& scale,
                                const std::vector<std::int32_t>& zero, const Shape& s) {
  RequantizeParams params;
  params.layout = {s.m, s.n, 1};
  params.scale = scale;
  params.zero = zero;
  params.range = {-128, 127};
  return params;
}

void OwnRequantized(benchmark::State& state, Shape s) {
  Operands<std::uint8_t> o(s);
  const MatrixView<const std::int8_t> rhs = {o.weight.data(), s.k, s.n, 1, s.k};
  const kernels::PackedWeight packed(rhs);
  const std::vector<Multiplier> scale(static_cast<std::size_t>(s.n), Multiplier{23456, 24});
  const std::vector<std::int32_t> zero(scale.size(), 5);
  std::vector<std::int8_t> narrow(o.out.size());
  GemmParams params;
  params.bias = o.bias;
  const kernels::Ratios ratios(Requantization(scale, zero, s), s.n);
  for (auto _ : state) {
    kernels::GemmInto(
        MatrixView<const std::uint8_t>{o.lhs.data(), s.m, s.k, s.k, 1}, rhs, params,
        [&](std::int64_t first, std::int64_t count, const std::int32_t* tile, std::int64_t stride) {
          const kernels::Tile sums{first, s.m, count, tile, stride};
          kernels::ScaleTile(ratios, sums, narrow.data() + first, s.n);
        },
        &packed);
    benchmark::DoNotOptimize(narrow.data());
  }
  Count(state, s);
}

class OneDnn {
 public:
  OneDnn(const Shape& s, dnnl::memory::data_type type, void* lhs, std::int8_t* weight,
         std::int32_t* out)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    const memory::desc a({s.m, s.k}, type, memory::format_tag::ab);
    const memory::desc any({s.k, s.n}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc plain({s.k, s.n}, memory::data_type::s8, memory::format_tag::ba);
    const memory::desc c({s.m, s.n}, memory::data_type::s32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc product(dnnl::matmul::desc(a, any, c), engine_);
    memory from(plain, engine_, weight), packed(product.weights_desc(), engine_);
    dnnl::reorder(from, packed).execute(stream_, from, packed);
    stream_.wait();
    primitive_ = dnnl::matmul(product);
    arguments_ = {{DNNL_ARG_SRC, memory(a, engine_, lhs)},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_DST, memory(c, engine_, out)}};
  }
  void operator()() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

template <typename Lhs>
void Library(benchmark::State& state, Shape s) {
  Operands<Lhs> o(s);
  OneDnn product(s,
                 std::is_signed_v<Lhs> ? dnnl::memory::data_type::s8 : dnnl::memory::data_type::u8,
                 o.lhs.data(), o.weight.data(), o.out.data());
  for (auto _ : state) product();
  Count(state, s);
}

void LibraryRequantized(benchmark::State& state, Shape s) {
  Operands<std::uint8_t> o(s);
  OneDnn product(s, dnnl::memory::data_type::u8, o.lhs.data(), o.weight.data(), o.out.data());
  const std::vector<Multiplier> scale(static_cast<std::size_t>(s.n), Multiplier{23456, 24});
  const std::vector<std::int32_t> zero(scale.size(), 5);
  std::vector<std::int8_t> narrow(o.out.size());
  const kernels::Ratios ratios(Requantization(scale, zero, s), s.n);
  for (auto _ : state) {
    product();
    for (std::int64_t n = 0; n < s.n; n += kernels::Ratios::kTile) {
      const kernels::Tile sums{n, s.m, std::min(kernels::Ratios::kTile, s.n - n), o.out.data() + n,
                               s.n};
      kernels::ScaleTile(ratios, sums, narrow.data() + n, s.n);
    }
    benchmark::DoNotOptimize(narrow.data());
  }
  Count(state, s);
}

}  // namespace

int main(int argc, char** argv) {
  if (omp_set_num_threads != nullptr) omp_set_num_threads(1);
  benchmark::AddCustomContext("instruction_set", std::string(kernels::InstructionSet()));
  for (const Shape& s : kShapes) {
    const std::string size = std::string(s.name) + " " + std::to_string(s.m) + "x" +
                             std::to_string(s.k) + "x" + std::to_string(s.n);
    benchmark::RegisterBenchmark(("qsim u8s8s32 " + size).c_str(), Own<std::uint8_t>, s);
    benchmark::RegisterBenchmark(("oneDNN u8s8s32 " + size).c_str(), Library<std::uint8_t>, s);
    benchmark::RegisterBenchmark(("qsim s8s8s32 " + size).c_str(), Own<std::int8_t>, s);
    benchmark::RegisterBenchmark(("oneDNN s8s8s32 " + size).c_str(), Library<std::int8_t>, s);
    benchmark::RegisterBenchmark(("qsim requantized " + size).c_str(), OwnRequantized, s);
    benchmark::RegisterBenchmark(("oneDNN requantized " + size).c_str(), LibraryRequantized, s);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
