#include "sim/explain/bundle_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "sim/error.h"
#include "sim/explain/op_models.h"
#include "sim/explain/search.h"
#include "sim/text/nearest_word.h"
#include "sim/text/text_util.h"

namespace qsim::explain {
namespace {

namespace fs = std::filesystem;

void CheckDirectory(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    throw InputError(path.string() + ": not a directory; with --bundle, explain compares two");
}

// Where a tensor holds what it may not hold, in words.
std::optional<std::string> OutOfRange(const WideTensor& tensor, const TensorInfo& info) {
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    const std::int64_t value = tensor.values[i];
    if (value >= info.range.qmin && value <= info.range.qmax) continue;
    const auto element = static_cast<std::int64_t>(i);
    return fmt::format("{} is {} at {}, outside {}..{}", info.name, value,
                       IndexText(IndexOfElement(element, tensor.shape)), info.range.qmin,
                       info.range.qmax);
  }
  return std::nullopt;
}

// One side of the comparison.
class Side {
 public:
  Side(fs::path directory, const Bundle& bundle)
      : directory_(std::move(directory)), bundle_(bundle) {}

  fs::path PathOf(const std::string& name) const { return FindTensorFile(directory_, name); }

  bool Has(const std::string& name) const {
    std::error_code error;
    return fs::exists(PathOf(name), error);
  }

  // Words without a sidecar have the shape of the other side's tensor, and the program's width.
  WideTensor Read(const std::string& name, const Side& other) const {
    const fs::path path = PathOf(name);
    const TensorInfo& info = bundle_.program.Tensor(name);
    WordForm form;
    if (other.Has(name)) form = StatedForm(other.PathOf(name)).value_or(form);
    form.bits = BitsFor({info.range.qmin, info.range.qmax});
    form.is_signed = info.range.qmin < 0;
    WideTensor tensor = ReadWideTensor(path, form);
    const std::int64_t one = ElementCount(info.shape);
    const auto size = static_cast<std::int64_t>(tensor.values.size());
    Shape expected = info.shape;
    expected.insert(expected.begin(), size / one);
    // A .memh without a sidecar has no shape: a flat list of whole images will do.
    const bool flat = tensor.shape.size() == 1 && size % one == 0;
    if (tensor.shape != expected && !flat)
      throw InputError(fmt::format("{}: has shape {}; the bundle's {} is {} for each image",
                                   path.string(), ShapeText(tensor.shape), name,
                                   ShapeText(info.shape)));
    tensor.shape = expected;
    return tensor;
  }

 private:
  fs::path directory_;
  const Bundle& bundle_;
};

// Of tensors with a run-time length, in tokens: that of the first file that has one.
std::int64_t LengthIn(const Side& side, const Bundle& bundle) {
  for (const TensorInfo& info : bundle.program.tensors) {
    if (info.length_axes.empty() || !side.Has(info.name)) continue;
    const Shape shape = ReadWideTensor(side.PathOf(info.name)).shape;
    if (shape.size() == info.shape.size() + 1)
      return shape[static_cast<std::size_t>(info.length_axes[0]) + 1];
  }
  return LengthOf(bundle, 0);
}

// Whole sequences of one length: a run in pieces gives the same.
Bundle OfLength(Bundle bundle, std::int64_t length) {
  for (TensorInfo& info : bundle.program.tensors) {
    info = AtLength(info, length);
    info.length_axes.clear();
  }
  return bundle;
}

// What a sequence begins with, for each of so many.
WideTensor Initial(const Program& program, const Carried& carried, std::int64_t images) {
  WideTensor one = Widen(program.Constant(carried.initial));
  WideTensor all;
  all.shape = one.shape;
  all.shape.insert(all.shape.begin(), images);
  for (std::int64_t i = 0; i < images; ++i)
    all.values.insert(all.values.end(), one.values.begin(), one.values.end());
  return all;
}

class Detective {
 public:
  Detective(const fs::path& a, const fs::path& b, const Bundle& bundle, int threads)
      : a_(a, bundle), b_(b, bundle), bundle_(bundle), threads_(threads) {}

  void Look(const Op& op) {
    const std::string& name = OutputOf(op);
    if (!a_.Has(name) || !b_.Has(name)) {
      if (a_.Has(name) != b_.Has(name)) (a_.Has(name) ? only_a_ : only_b_).push_back(name);
      return;
    }
    const WideTensor golden = a_.Read(name, b_);
    const WideTensor actual = b_.Read(name, a_);
    if (golden.shape != actual.shape)
      throw InputError(fmt::format("{}: has {} images, {} has {}", b_.PathOf(name).string(),
                                   actual.shape.front(), a_.PathOf(name).string(),
                                   golden.shape.front()));
    ++result_.compared;
    if (golden.values == actual.values) return;
    ++result_.differing;
    std::optional<Inputs> inputs = InputsFor(op, golden.shape.front());
    if (!inputs) return;
    const OpModel op_model =
        MakeOpModel(bundle_.program, op, inputs->tensors, actual.values, threads_);
    if (!inputs->differ) CheckGolden(name, *op_model.model, golden);
    Explanation explanation =
        Explain(*op_model.model, actual.values, name, op_model.golden, threads_);
    if (explanation.verdict == Explanation::Verdict::kEqual) {
      result_.followers.push_back(name);
      return;
    }
    if (inputs->differ) explanation.golden += "; on b's own inputs, which differ from a's";
    if (!inputs->from_b) explanation.golden += "; on a's inputs, since b does not hold them";
    result_.taps.push_back(std::move(explanation));
  }

  DirectoryExplanation Take() {
    std::string missing;
    for (const auto& [names, side] : {std::pair(&only_a_, "b"), std::pair(&only_b_, "a")}) {
      if (names->empty()) continue;
      missing +=
          fmt::format("{}{} missing in {}: {}", missing.empty() ? "" : "; ",
                      Count(static_cast<std::int64_t>(names->size()), "tensor is", "tensors are"),
                      side, FirstOf(*names));
    }
    if (!missing.empty()) result_.notes.push_back(std::move(missing));
    return std::move(result_);
  }

 private:
  struct Inputs {
    WideTensors tensors;
    bool differ = false;  // from what a had
    bool from_b = true;
  };

  // b's own where b holds all of them, else a's, else those of the bundle.
  std::optional<Inputs> InputsFor(const Op& op, std::int64_t images) {
    Inputs inputs;
    const std::vector<std::string> names = InputsOf(op);
    inputs.from_b = std::all_of(names.begin(), names.end(), [this](const std::string& name) {
      return b_.Has(name) || CarriedTo(name) != nullptr;
    });
    for (const std::string& name : names) {
      WideTensor tensor;
      if (const Carried* carried = CarriedTo(name)) {
        tensor = Initial(bundle_.program, *carried, images);
      } else if (inputs.from_b) {
        tensor = b_.Read(name, a_);
        if (!a_.Has(name) || a_.Read(name, b_).values != tensor.values) inputs.differ = true;
      } else if (a_.Has(name)) {
        tensor = a_.Read(name, b_);
      } else if (const auto found = bundle_.inputs.find(name); found != bundle_.inputs.end()) {
        tensor = Widen(found->second);
      } else {
        result_.notes.push_back(fmt::format(
            "{} cannot be judged: neither directory holds its input {}", OutputOf(op), name));
        return std::nullopt;
      }
      if (tensor.shape.front() != images)
        throw InputError(fmt::format("{}: its input {} has {} images, it has {}", OutputOf(op),
                                     name, tensor.shape.front(), images));
      if (!TakesAnyInput(op)) {
        if (const auto wrong = OutOfRange(tensor, bundle_.program.Tensor(name))) {
          result_.notes.push_back(
              fmt::format("{} cannot be judged: its input {}", OutputOf(op), *wrong));
          return std::nullopt;
        }
      }
      inputs.tensors.emplace(name, std::move(tensor));
    }
    return inputs;
  }

  const Carried* CarriedTo(const std::string& name) const {
    const std::vector<Carried>& all = bundle_.program.carried;
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Carried& c) { return c.input == name; });
    return found == all.end() ? nullptr : &*found;
  }

  void CheckGolden(const std::string& name, const Model& model, const WideTensor& golden) const {
    std::vector<std::int64_t> elements(golden.values.size());
    std::iota(elements.begin(), elements.end(), std::int64_t{0});
    std::vector<std::int64_t> expected(elements.size());
    model.Evaluate(model.Golden(), elements, expected);
    const auto [at, value] = std::mismatch(expected.begin(), expected.end(), golden.values.begin());
    if (at == expected.end()) return;
    throw InputError(fmt::format(
        "{}: element {} is {}, but the bundle gives {}; the first directory must hold the golden "
        "tensors of this bundle",
        a_.PathOf(name).string(), IndexText(IndexOfElement(at - expected.begin(), golden.shape)),
        *value, *at));
  }

  Side a_, b_;
  const Bundle& bundle_;
  int threads_;
  DirectoryExplanation result_;
  std::vector<std::string> only_a_, only_b_;  // tensors that the other side lacks
};

}  // namespace

DirectoryExplanation ExplainDirectories(const fs::path& a, const fs::path& b, const Bundle& bundle,
                                        const std::string& tap, int threads) {
  CheckDirectory(a);
  CheckDirectory(b);
  std::vector<std::string> names;
  for (const Op& op : bundle.program.ops) names.push_back(OutputOf(op));
  if (!tap.empty() && std::find(names.begin(), names.end(), tap) == names.end())
    throw InputError(fmt::format("--tap: no operation of the bundle is called '{}'; {}", tap,
                                 SuggestWord(tap, names)));
  if (!bundle.lengths.empty()) {
    throw InputError(
        "explain takes sequences of one length, and this bundle's differ: make one of fewer inputs "
        "(qsim calibrate --images, --tokens), or run it on --inputs of one length");
  }
  const Bundle whole = bundle.program.MaxLength() == 0
                           ? bundle
                           : OfLength(bundle, LengthIn(Side(a, bundle), bundle));
  Detective detective(a, b, whole, threads);
  for (const Op& op : bundle.program.ops)
    if (tap.empty() || OutputOf(op) == tap) detective.Look(op);
  DirectoryExplanation result = detective.Take();
  if (result.compared == 0)
    throw InputError(
        fmt::format("{} and {} have no tensor of the bundle in common; there is nothing to explain",
                    a.string(), b.string()));
  return result;
}

}  // namespace qsim::explain
