// The published algorithms against vectors that their authors' own code produced
// (shared/conformance/README.md). Skipped where that folder is absent.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "golden/ops/gelu.h"
#include "golden/ops/layernorm.h"
#include "sim/io/npy.h"
#include "tests/test_support.h"

namespace qsim {
namespace {

namespace fs = std::filesystem;

// One case: its parameters, and its tensors by name.
class Case {
 public:
  explicit Case(const fs::path& dir) : dir_(dir) {
    std::ifstream stream(dir / "case.json");
    json_ = nlohmann::json::parse(stream);
  }
  std::int64_t Param(const std::string& key) const {
    return json_.at("params").at(key).get<std::int64_t>();
  }
  // A parameter that is one number, or one per channel.
  std::int64_t Param(const std::string& key, std::size_t channel) const {
    const auto& value = json_.at("params").at(key);
    return value.is_array() ? value.at(channel).get<std::int64_t>() : Param(key);
  }
  IntTensor Tensor(const std::string& name) const {
    for (const char* group : {"inputs", "outputs"}) {
      const auto& tensors = json_.at(group);
      if (tensors.contains(name)) return ReadIntNpy(dir_ / tensors.at(name).get<std::string>());
    }
    throw std::invalid_argument("no tensor " + name + " in " + dir_.string());
  }

 private:
  fs::path dir_;
  nlohmann::json json_;
};

std::vector<fs::path> CaseDirs(const std::string& algorithm) {
  std::vector<fs::path> dirs;
  const std::optional<fs::path> shared = testing::SharedDir();
  if (!shared) return dirs;
  const fs::path root = *shared / "conformance" / algorithm;
  if (!fs::is_directory(root)) return dirs;
  for (const auto& entry : fs::directory_iterator(root)) dirs.push_back(entry.path());
  return dirs;
}

std::vector<std::int64_t> Values(const IntTensor& tensor, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = first; i < first + count; ++i) values.push_back(tensor.At(i));
  return values;
}

template <typename T>
std::vector<std::int64_t> Wide(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

std::vector<std::int32_t> Narrow(const std::vector<std::int64_t>& values) {
  std::vector<std::int32_t> narrow;
  for (const std::int64_t v : values) narrow.push_back(static_cast<std::int32_t>(v));
  return narrow;
}

TEST(Conformance, LayernormIbert) {
  const std::vector<fs::path> dirs = CaseDirs("layernorm/ibert");
  if (dirs.empty()) GTEST_SKIP() << "no conformance data";
  std::int64_t compared = 0;
  for (const fs::path& dir : dirs) {
    const Case c(dir);
    const IntTensor x = c.Tensor("x"), std_int = c.Tensor("std_int"), y = c.Tensor("y"),
                    y8 = c.Tensor("y8"), m = c.Tensor("m"), e = c.Tensor("e");
    const std::int64_t channels = x.shape().back();
    const auto size = static_cast<std::size_t>(channels);
    const std::vector<std::int64_t> bias = Values(c.Tensor("bias_int"), 0, channels);
    // The peer's 31-bit multipliers include 2^31 itself; M and S stand for the same ratio halved.
    std::vector<Multiplier> scale(size);
    for (std::size_t i = 0; i < size; ++i) {
      std::int64_t value = m.At(static_cast<std::int64_t>(i));
      auto shift = static_cast<int>(e.At(static_cast<std::int64_t>(i)));
      while (value % 2 == 0 && (value > 2147483647 || value < -2147483647 || shift > 62)) {
        value /= 2;
        --shift;
      }
      scale[i] = {static_cast<std::int32_t>(value), shift};
    }
    const std::vector<std::int32_t> zero = {0};
    const LayernormParams params{.std_shift = static_cast<int>(c.Param("shift")),
                                 .bias = bias,
                                 .scale = scale,
                                 .zero = zero,
                                 .rounding = Rounding::kHalfEven};
    for (std::int64_t row = 0; row < x.size() / channels; ++row) {
      std::vector<std::int32_t> out(size);
      std::vector<std::int64_t> out_y(size);
      std::int64_t out_std = 0;
      LayernormIbert(Narrow(Values(x, row * channels, channels)), params, out,
                     {.y = out_y, .std_int = &out_std});
      ASSERT_EQ(out_std, std_int.At(row)) << dir << " row " << row;
      ASSERT_EQ(out_y, Values(y, row * channels, channels)) << dir << " row " << row;
      ASSERT_EQ(Wide(out), Values(y8, row * channels, channels)) << dir << " row " << row;
      compared += channels;
    }
  }
  EXPECT_EQ(dirs.size(), 7U);
  EXPECT_EQ(compared, 36136);
}

TEST(Conformance, GeluIbert) {
  const std::vector<fs::path> dirs = CaseDirs("gelu/ibert");
  if (dirs.empty()) GTEST_SKIP() << "no conformance data";
  std::int64_t compared = 0;
  for (const fs::path& dir : dirs) {
    const Case c(dir);
    const IntTensor x = c.Tensor("x"), erf_int = c.Tensor("erf_int"), y = c.Tensor("y");
    const auto channels = static_cast<std::size_t>(x.shape().back());
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::size_t channel = static_cast<std::size_t>(i) % channels;
      const GeluParams params{.kind = GeluKind::kIbert,
                              .ibert = {.b = c.Param("b_int", channel),
                                        .c = c.Param("c_int", channel),
                                        .shift_int = c.Param("shift_int", channel),
                                        .n = static_cast<int>(c.Param("n"))}};
      std::int32_t out = 0;
      std::int64_t out_erf = 0, out_y = 0;
      GeluIbert(Narrow(Values(x, i, 1)), params, {&out, 1},
                {.erf_int = {&out_erf, 1}, .y = {&out_y, 1}});
      ASSERT_EQ(out_erf, erf_int.At(i)) << dir << " element " << i;
      ASSERT_EQ(out_y, y.At(i)) << dir << " element " << i;
      ++compared;
    }
  }
  EXPECT_EQ(dirs.size(), 5U);
  EXPECT_EQ(compared, 4480);
}

}  // namespace
}  // namespace qsim
