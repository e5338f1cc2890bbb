// Bundles: what is saved is what is loaded, the same bytes every time, and nothing that a bundle
// can hold crashes a reader.
#include "sim/bundle/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "golden/program/executor.h"
#include "sim/bundle/parameter_table.h"
#include "sim/error.h"
#include "sim/export/export_formats.h"
#include "sim/io/tensors/npy.h"
#include "tests/program/stateful_programs.h"
#include "tests/report/sample_bundle.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::Vectors;

void Save(const Bundle& bundle, const fs::path& directory) {
  OutputDirectory output(directory);
  SaveBundle(bundle, output);
}

void ExpectSame(const Bundle& a, const Bundle& b) {
  EXPECT_EQ(a.program, b.program);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.hardware, b.hardware);
  EXPECT_EQ(a.provenance, b.provenance);
  EXPECT_EQ(a.notes, b.notes);
}

std::string ReadBytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteBytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::map<std::string, std::string> FilesOf(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), directory).string()] = ReadBytes(entry.path());
  }
  return files;
}

Bundle Calibrated(const std::vector<std::string>& settings, int threads, std::int64_t images = 2) {
  const Vectors vectors = Vectors::Shipped();
  CalibrateOptions options;
  options.threads = threads;
  Bundle bundle = vectors.Calibrate(settings, options);
  AddBundleInputs(bundle, vectors.model(), vectors.evaluation(), images, threads);
  return bundle;
}

TEST(Bundle, LoadsWhatWasSaved) {
  const TempDir temp;
  int number = 0;
  const auto round_trip = [&](const Bundle& bundle) {
    const fs::path directory = temp.path() / std::to_string(number++);
    Save(bundle, directory);
    ExpectSame(LoadBundle(directory), bundle);
  };
  round_trip(Calibrated({}, 2));
  auto everything = testing::Join(testing::ForEveryActivation("bit_type.symmetric=False"),
                                  testing::ForEveryWeight("bit_type.symmetric=False"));
  everything = testing::Join(
      everything,
      {"attn_kv_out.calibration_mode=head_wise", "attn_q_out.calibration_mode=head_wise",
       "attn_v_out.calibration_mode=channel_wise", "numerics.softmax=log_int",
       "numerics.rounding=half_even", "hardware.acc_policy=saturate",
       "attn_proj.output.output_quant_enable=True"});
  round_trip(Calibrated(everything, 2));
  round_trip(Calibrated({"hardware.requant=power_of_two"}, 2));
}

TEST(Bundle, TextsWithQuotesAndColonsSurvive) {
  Bundle bundle = testing::SampleBundle();
  bundle.notes.push_back({LoweringNote::Kind::kSubstitution, "blocks.0.input",
                          "a \"quoted\" path: C:\\new #1, [x] {y} 'z' - & * ! | > % @ `"});
  const TempDir temp;
  Save(bundle, temp.path() / "b");
  EXPECT_EQ(LoadBundle(temp.path() / "b").notes, bundle.notes);
}

// A program without either has no word of them in its file.
TEST(Bundle, CarriedStateAndLengthsTravel) {
  const TempDir temp;
  for (const bool in_steps : {false, true}) {
    Bundle bundle;
    bundle.program = testing::CausalAttention(1, in_steps);
    for (const TensorInfo& info : bundle.program.tensors)
      bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.5}, {0}};
    Shape shape = bundle.program.Tensor("x").shape;
    shape.insert(shape.begin(), 1);
    bundle.inputs["x"] = IntTensor(DType::kInt8, shape);
    const fs::path path = temp.path() / (in_steps ? "steps" : "lengths");
    Save(bundle, path);
    ExpectSame(LoadBundle(path), bundle);
    const std::string text = ReadBytes(path / "program.yaml");
    EXPECT_EQ(text.find("carried:") != std::string::npos, in_steps);
    EXPECT_EQ(text.find("length_axes: [1, 2]") != std::string::npos, !in_steps);
  }
}

// ViT-B/16 has more text in its scales than a person would write into a configuration.
TEST(Bundle, OfManyScalesLoads) {
  Bundle bundle = testing::SampleBundle();
  const std::string note(1000, 'x');
  for (int i = 0; i < 2500; ++i) {
    bundle.notes.push_back({LoweringNote::Kind::kInfo, "blocks.0.input", note});
  }
  const TempDir temp;
  Save(bundle, temp.path() / "b");
  EXPECT_GT(fs::file_size(temp.path() / "b" / "program.yaml"), std::uintmax_t{2} << 20);
  EXPECT_EQ(LoadBundle(temp.path() / "b").notes.size(), bundle.notes.size());
}

TEST(Bundle, TheSameBytesForEveryNumberOfThreads) {
  const TempDir temp;
  Save(Calibrated({}, 1), temp.path() / "one");
  Save(Calibrated({}, 2), temp.path() / "two");
  Save(Calibrated({}, 2), temp.path() / "again");
  const auto one = FilesOf(temp.path() / "one");
  EXPECT_GT(one.size(), 60u);
  EXPECT_EQ(one, FilesOf(temp.path() / "two"));
  EXPECT_EQ(one, FilesOf(temp.path() / "again"));
}

// ---- hostile bundles ----

class HostileBundle : public ::testing::Test {
 protected:
  HostileBundle() : directory_(temp_.path() / "bundle") {
    // Two blocks would double the lines and add nothing.
    const Vectors vectors = Vectors::Shipped();
    CalibrateOptions options;
    options.blocks = {0};
    Bundle bundle = vectors.Calibrate(
        {"attn_kv_out.calibration_mode=head_wise", "attn_v_input.calibration_mode=channel_wise",
         "attn_v_input.bit_type.symmetric=False"},
        options);
    AddBundleInputs(bundle, vectors.model(), vectors.evaluation(), 1, 1);
    Save(bundle, directory_);
  }

  std::string Error() const {
    try {
      LoadBundle(directory_);
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "";
  }

  // Loads, and where that succeeds runs and exports: nothing but InputError may come out.
  void Attempt(const std::string& what) {
    try {
      const Bundle bundle = LoadBundle(directory_);
      ++loaded_;
      RunSettings settings;
      settings.images = bundle.images();
      RunImages(bundle, nullptr, settings);
      ExportJson(BuildExportTable(bundle));
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << what;
      EXPECT_THAT(error.what(), HasSubstr(directory_.string())) << what;
      ++rejected_;
    } catch (const std::exception& error) {
      ADD_FAILURE() << what << ": " << error.what();
    }
  }

  void AttemptEveryLine(const std::string& file,
                        const std::vector<std::string>& replacement_values) {
    const std::string original = ReadBytes(directory_ / file);
    std::vector<std::string> lines;
    std::istringstream stream(original);
    for (std::string line; std::getline(stream, line);) lines.push_back(line + "\n");
    const auto attempt = [&](std::size_t at, const std::string& replacement) {
      std::string text;
      for (std::size_t i = 0; i < lines.size(); ++i) text += i == at ? replacement : lines[i];
      if (text == original) return;
      WriteBytes(directory_ / file, text);
      Attempt(file + ":" + std::to_string(at + 1) + " -> " + replacement);
    };
    for (std::size_t i = 0; i < lines.size(); ++i) {
      attempt(i, "");
      attempt(i, lines[i] + lines[i]);
      const std::size_t colon = lines[i].find(": ");
      const std::size_t dash = lines[i].find("- ");
      for (const std::string& value : replacement_values) {
        if (colon != std::string::npos)
          attempt(i, lines[i].substr(0, colon + 2) + value + "\n");
        else if (dash != std::string::npos)
          attempt(i, lines[i].substr(0, dash + 2) + value + "\n");
      }
    }
    WriteBytes(directory_ / file, original);
    ASSERT_EQ(Error(), "") << "the original must still load";
  }

  // Changes the first occurrence of a line's text and restores it afterwards.
  std::string ErrorWith(const std::string& file, const std::string& from, const std::string& to) {
    const std::string original = ReadBytes(directory_ / file);
    const std::size_t at = original.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    std::string changed = original;
    changed.replace(at, from.size(), to);
    WriteBytes(directory_ / file, changed);
    const std::string error = Error();
    WriteBytes(directory_ / file, original);
    return error;
  }

  TempDir temp_;
  fs::path directory_;
  int loaded_ = 0;
  int rejected_ = 0;
};

TEST_F(HostileBundle, EveryLineOfTheProgram) {
  AttemptEveryLine("program.yaml",
                   {"-1", "0", "1", "63", "99999999999999999999", "x", "[]", "[1, 2]", "{}", "1.5",
                    "../../evil", "true", "blocks.0.attn_qkv"});
  EXPECT_GT(rejected_, 1000);
  EXPECT_GT(loaded_, 50) << "harmless changes, such as to a hash, still load";
}

TEST_F(HostileBundle, EveryLineOfTheScales) {
  AttemptEveryLine("scales.yaml", {"-1", "0", "nan", "inf", "1e999", "[]", "[0]", "[-1]", "[1, 2]",
                                   "x", "{}", "first", "log2", "../../evil"});
  EXPECT_GT(rejected_, 300);
}

TEST_F(HostileBundle, EveryArrayDamaged) {
  std::vector<fs::path> arrays;
  for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
    if (entry.path().extension() == ".npy") arrays.push_back(entry.path());
  }
  ASSERT_GT(arrays.size(), 15u);
  for (const fs::path& path : arrays) {
    const std::string original = ReadBytes(path);
    const AnyTensor any = ReadNpy(path);
    const auto& tensor = std::get<IntTensor>(any);
    const auto restore = [&] { WriteBytes(path, original); };
    fs::remove(path);
    Attempt(path.string() + " missing");
    WriteBytes(path, "");
    Attempt(path.string() + " empty");
    WriteBytes(path, original.substr(0, original.size() - 1));
    Attempt(path.string() + " truncated");
    WriteBytes(path, original + "x");
    Attempt(path.string() + " longer");
    const int must_reject = rejected_;
    for (const DType dtype : {DType::kInt8, DType::kUint16, DType::kInt64}) {
      if (dtype == tensor.dtype()) continue;
      WriteNpy(path, IntTensor(dtype, tensor.shape()));
      Attempt(path.string() + " as " + std::string(Name(dtype)));
    }
    Shape longer = tensor.shape();
    longer.back() += 1;
    WriteNpy(path, IntTensor(tensor.dtype(), longer));
    Attempt(path.string() + " with another shape");
    WriteNpy(path, IntTensor(tensor.dtype(), {0}));
    Attempt(path.string() + " without elements");
    WriteNpy(path, FloatTensor{tensor.shape(),
                               std::vector<float>(static_cast<std::size_t>(tensor.size()))});
    Attempt(path.string() + " as floats");
    EXPECT_GE(rejected_ - must_reject, 5) << path;
    for (const std::int64_t value : {std::int64_t{INT32_MIN}, std::int64_t{INT32_MAX}}) {
      IntTensor extreme(tensor.dtype(), tensor.shape());
      std::visit(
          [&](auto& values) {
            using T = typename std::decay_t<decltype(values)>::value_type;
            std::fill(values.begin(), values.end(), static_cast<T>(value));
          },
          extreme.storage());
      WriteNpy(path, extreme);
      Attempt(path.string() + " all " + std::to_string(value));
    }
    restore();
  }
  EXPECT_EQ(Error(), "");
}

TEST_F(HostileBundle, MessagesNameFileAndLine) {
  EXPECT_THAT(ErrorWith("program.yaml", "format_version: 2", "format_version: 7"),
              HasSubstr("program.yaml: format_version 7 is not supported, this qsim reads 1 to 2"));
  EXPECT_THAT(ErrorWith("program.yaml", "rounding: half_up", "rounding: up"),
              ::testing::AllOf(HasSubstr("program.yaml:"), HasSubstr("unknown value 'up'")));
  EXPECT_THAT(ErrorWith("program.yaml", "acc_bits: 32", "acc_bit: 32"), HasSubstr("'acc_bits'"));
  EXPECT_THAT(ErrorWith("program.yaml", "acc_bits: 32", "acc_bits: 12"),
              HasSubstr("accumulator width must be 16..32"));
  EXPECT_THAT(ErrorWith("program.yaml", "op: gemm", "op: gem"),
              HasSubstr("unknown operation 'gem'"));
  EXPECT_THAT(ErrorWith("program.yaml", "name: \"blocks.0.input\"", "name: \"../../escape\""),
              HasSubstr("'../../escape' is not a tensor name"));
  EXPECT_THAT(ErrorWith("program.yaml", "- blocks.0.attn_proj.bias", "- ../evil"),
              HasSubstr("'../evil' is not a tensor name"));
  EXPECT_THAT(ErrorWith("program.yaml", ": arrays/", ": arrays/../../"),
              HasSubstr("must name a file in arrays/"));
  EXPECT_THAT(ErrorWith("program.yaml", ": arrays/", ": /etc/"),
              HasSubstr("must name a file in arrays/"));
  EXPECT_THAT(ErrorWith("scales.yaml", "kind: linear", "kind: linea"), HasSubstr("scales.yaml:"));
}

// Of tensors and of weights alike.
TEST_F(HostileBundle, ScalesAndZeroPointsAreChecked) {
  const std::string scales = ReadBytes(directory_ / "scales.yaml");
  std::size_t checked = 0;
  for (std::size_t at = scales.find("scale: ["); at != std::string::npos;
       at = scales.find("scale: [", at + 1)) {
    const std::size_t first = at + 8;
    const std::size_t end = scales.find_first_of(",]", first);
    for (const char* bad : {"0", "-1", "inf", "nan", "1e301", "1e-301", ""}) {
      std::string changed = scales;
      WriteBytes(directory_ / "scales.yaml", changed.replace(first, end - first, bad));
      EXPECT_THAT(Error(), HasSubstr("scales.yaml:")) << bad << " at " << at;
    }
    ++checked;
  }
  EXPECT_GT(checked, 10u);
  const std::size_t zero = scales.find("zero_point: [") + 13;
  for (const char* bad : {"99999999", "-99999999", "0.5", "1e9", "0, 0, 0"}) {
    std::string changed = scales;
    WriteBytes(directory_ / "scales.yaml",
               changed.replace(zero, scales.find_first_of(",]", zero) - zero, bad));
    EXPECT_THAT(Error(), HasSubstr("scales.yaml:")) << bad;
  }
  WriteBytes(directory_ / "scales.yaml", scales);
  EXPECT_THAT(ErrorWith("scales.yaml", "scale: [", "scale: [0, "),
              ::testing::AnyOf(HasSubstr("channel 0: scale is 0"), HasSubstr("needs one scale")));
  EXPECT_EQ(Error(), "");
}

// Absolute paths and "..", links to elsewhere and files that have another name.
TEST_F(HostileBundle, NothingOutsideIsRead) {
  const fs::path array = directory_ / "arrays" / "blocks.0.attn_proj.weight.npy";
  const fs::path elsewhere = temp_.path() / "elsewhere.npy";
  fs::rename(array, elsewhere);
  fs::create_symlink(elsewhere, array);
  EXPECT_THAT(Error(), HasSubstr("is or lies behind a symbolic link"));
  fs::remove(array);
  fs::create_hard_link(elsewhere, array);
  EXPECT_THAT(Error(), HasSubstr("has another name elsewhere (a hard link)"));
  fs::remove(array);
  fs::copy_file(elsewhere, array);
  EXPECT_EQ(Error(), "");
  fs::rename(directory_ / "arrays", temp_.path() / "arrays");
  fs::create_directory_symlink(temp_.path() / "arrays", directory_ / "arrays");
  EXPECT_THAT(Error(), HasSubstr("is or lies behind a symbolic link"));
  // The user's own word for the bundle may be a link.
  fs::remove(directory_ / "arrays");
  fs::rename(temp_.path() / "arrays", directory_ / "arrays");
  fs::create_directory_symlink(directory_, temp_.path() / "link");
  EXPECT_EQ(LoadBundle(temp_.path() / "link").images(), 1);
}

TEST_F(HostileBundle, AProgramIsNoLargerThanItsFilesCallFor) {
  std::string text = ReadBytes(directory_ / "program.yaml");
  const std::size_t ops = text.find("tensors:\n") + 9;
  text.insert(ops,
              "  - name: huge\n    shape: [40000, 40000]\n    dtype: int8\n    qmin: -128\n"
              "    qmax: 127\n");
  WriteBytes(directory_ / "program.yaml", text);
  std::ofstream(directory_ / "scales.yaml", std::ios::app)
      << "huge:\n  kind: linear\n  channel_axis: none\n  scale: [1]\n  zero_point: [0]\n";
  EXPECT_THAT(Error(), HasSubstr("('huge' alone 1600)"));
}

TEST_F(HostileBundle, InputsAreCheckedAgainstTheProgram) {
  const fs::path path = directory_ / "inputs" / "blocks.0.input.npy";
  const std::string original = ReadBytes(path);
  EXPECT_THAT(
      ErrorWith("program.yaml", "qmin: -32768\n    qmax: 32767", "qmin: -32768\n    qmax: 100"),
      ::testing::AllOf(HasSubstr("blocks.0.input.npy: element "),
                       HasSubstr("outside the range -32768..100")));
  WriteNpy(path, IntTensor(DType::kInt16, {0, 17, 64}));
  EXPECT_THAT(Error(), HasSubstr("blocks.0.input.npy: zero images"));
  WriteNpy(path, IntTensor(DType::kInt16, {1, 17, 65}));
  EXPECT_THAT(Error(), HasSubstr("must be int16 with the shape [images, 17, 64]"));
}

TEST(Bundle, MissingDirectory) {
  try {
    LoadBundle("/nonexistent/bundle");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/bundle: no such bundle directory"));
  }
}

}  // namespace
}  // namespace qsim::testing
