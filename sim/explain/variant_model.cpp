#include "sim/explain/variant_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "golden/kernels/fast_backend.h"
#include "golden/ops/layernorm/eps.h"

namespace qsim::explain {
namespace {

using What = VariantModel::Change::What;

constexpr std::int64_t kMostCombined = std::int64_t{1} << 22;  // steps of work, of two changes
constexpr std::size_t kRemembered = std::size_t{1} << 25;  // values of outputs, of all hypotheses

template <typename T>
constexpr bool kIsNumber = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// Calls f(number) for every number of a member; of a multiplier, for its shift.
template <typename T, typename F>
void ForNumbers(T& member, F f) {
  using Member = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Member, Multiplier>) {
    f(member.shift);
  } else if constexpr (kIsVector<Member>) {
    if constexpr (!kIsVectorOfVariants<Member>) {
      for (auto& entry : member) ForNumbers(entry, f);
    }
  } else if constexpr (kIsNumber<Member>) {
    f(member);
  }
}

// Gives a member the value of the field with its name.
template <typename T>
struct CopyOf {
  std::string_view name;
  T& member;
  bool& found;

  template <typename U>
  void operator()(const Field& field, const U& value) {
    if constexpr (std::is_convertible_v<U, T>) {
      if (field.name != name) return;
      member = static_cast<T>(value);
      found = true;
    }
  }
  template <typename U>
  void Fixed(const Field& field, U value) {
    (*this)(field, value);
  }
};

// The other algorithm, where all its parameters are among those of this one.
template <typename To, typename From>
std::optional<To> Shared(const From& from) {
  To to;
  bool all = true;
  ForEachField(to, [&]<typename T>(const Field& field, T& member) {
    bool found = false;
    ForEachField(from, CopyOf<T>{field.name, member, found});
    all = all && found;
  });
  return all ? std::optional(to) : std::nullopt;
}

// The alternative with this number by the fields that both have; nullopt where it has others.
template <typename... T>
std::optional<std::variant<T...>> Relative(const std::variant<T...>& params, std::size_t number) {
  std::optional<std::variant<T...>> relative;
  const auto try_one = [&]<typename To>(std::type_identity<To>, std::size_t index) {
    if (index != number) return;
    std::visit(
        [&](const auto& from) {
          if (auto to = Shared<To>(from)) relative = std::move(*to);
        },
        params);
  };
  std::size_t index = 0;
  (try_one(std::type_identity<T>(), index++), ...);
  return relative;
}

void Apply(const VariantModel::Change& change, Op& op) {
  const auto of_member = [&]<typename T>(const Field& field, T& member) {
    if (change.what == What::kRotate && (change.field.empty() || field.name == change.field)) {
      if constexpr (kIsVector<T>) {
        if constexpr (!kIsVectorOfVariants<T>) {
          const auto size = std::ssize(member);
          if (size > 1 && (field.axis == Axis::kChannel || field.axis == Axis::kHead))
            std::rotate(member.begin(), member.begin() + (change.number % size + size) % size,
                        member.end());
        }
      }
      return;
    }
    if (field.name != change.field) return;
    if constexpr (std::is_same_v<T, bool>) {
      if (change.what == What::kToggle) member = !member;
    }
    if (change.what == What::kZero) ForNumbers(member, [](auto& n) { n = 0; });
    if (change.what == What::kSet) {
      ForNumbers(member,
                 [&](auto& n) { n = static_cast<std::decay_t<decltype(n)>>(change.number); });
    }
    if (change.what == What::kAdd) {  // to shifts and numbers of bits, which have no sign
      ForNumbers(member, [&](auto& n) {
        n = static_cast<std::decay_t<decltype(n)>>(std::max<std::int64_t>(0, n + change.number));
      });
    }
    if constexpr (std::is_enum_v<T>) member = static_cast<T>(change.number);
    if constexpr (kIsVector<T>) {
      if (change.what == What::kEmpty) member.clear();
      if (change.what == What::kFirst) std::fill(member.begin(), member.end(), member.front());
    }
    if (change.what != What::kAlgorithm) return;
    const auto number = static_cast<std::size_t>(change.number);
    if constexpr (kIsVariant<T>) member = Relative(member, number).value();
    if constexpr (kIsVectorOfVariants<T>) {
      for (auto& params : member) params = Relative(params, number).value();
    }
  };
  std::visit(
      [&](auto& o) {
        // An algorithm is a field of the operation; its parameters are not.
        if (change.field == "algorithm") {
          ForEachField(o, of_member);
        } else {
          ForEachParameter(o, of_member);
        }
      },
      op);
}

// Rows `late` late, those without another their own; of so many as there are, all the first one.
void MoveRows(IntTensor& tensor, std::int64_t late) {
  const std::int64_t rows = tensor.shape().front();
  const std::int64_t width = ElementCount(tensor.shape()) / rows;
  std::visit(
      [&](auto& values) {
        const auto own = values;
        for (std::int64_t row = 0; row < rows; ++row) {
          const std::int64_t from = late == rows ? 0 : row - late;
          if (from < 0 || from >= rows) continue;
          std::copy_n(own.begin() + from * width, width, values.begin() + row * width);
        }
      },
      tensor.storage());
}

Shape WithImages(const Shape& shape, std::size_t images) {
  Shape with = {static_cast<std::int64_t>(images)};
  with.insert(with.end(), shape.begin(), shape.end());
  return with;
}

}  // namespace

// A visitor of an operation's fields: what may be wrong with each.
class VariantModel::Suspects {
 public:
  explicit Suspects(VariantModel& model) : model_(model) {}

  template <typename T>
  void operator()(const Field& field, const T& member) {
    const std::string name(field.name);
    if (!seen_.insert(name).second) return;  // of another head
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    if constexpr (std::is_same_v<T, Rounding>) {
      // The operation's own rounding needs no name.
      const std::string of = name == "rounding" ? "" : words + " ";
      for (const Rounding rounding : kAllRoundings) {
        if (rounding == member) continue;
        model_.Add("rounding", {What::kChoice, name, static_cast<int>(rounding)},
                   (of.empty() ? "" : name + "_") + std::string(Name(rounding)),
                   fmt::format("{}{} instead of {}", of, Name(rounding), Name(member)));
      }
    } else if constexpr (std::is_same_v<T, SoftmaxDivision>) {
      for (const SoftmaxDivision other : AllOf<SoftmaxDivision>()) {
        if (other == member) continue;
        model_.Add("algorithm", {What::kChoice, name, static_cast<int>(other)},
                   fmt::format("division_{}", Name(other)),
                   fmt::format("the row's sum divided out {} the product instead of {}",
                               Name(other), Name(member)));
      }
    } else if constexpr (std::is_same_v<T, bool>) {
      if (name == "causal")
        Add(What::kToggle, name, 0, member ? "not_causal" : "causal",
            member ? "later positions not masked" : "later positions masked");
    } else if constexpr (kIsVariant<T>) {
      Algorithm(name, member);
    } else if constexpr (kIsVectorOfVariants<T>) {
      Algorithm(name, member.front());
      if (member.size() > 1)
        Add(What::kFirst, name, 0, "first_head", "head 0's parameters used for every head");
    } else {
      Numbers(field, name, words, member);
    }
  }

 private:
  void Add(What what, const std::string& field, std::int64_t number, std::string id,
           std::string phrase, int cost = 2) {
    model_.Add("parameters", {what, field, number}, std::move(id), std::move(phrase), cost);
  }

  template <typename Variant>
  void Algorithm(const std::string& name, const Variant& params) {
    for (std::size_t i = 0; i < std::variant_size_v<Variant>; ++i) {
      if (i == params.index() || !Relative(params, i)) continue;
      const std::string_view other = AlgorithmNames<Variant>::kNames[i];
      model_.Add("algorithm", {What::kAlgorithm, name, static_cast<int>(i)}, std::string(other),
                 fmt::format("{} instead of {}", other, NameOfAlgorithm(params)));
    }
  }

  template <typename T>
  void Numbers(const Field& field, const std::string& name, const std::string& words,
               const T& member) {
    bool any = false;
    ForNumbers(member, [&](auto number) { any = any || number != 0; });
    const bool several = [&] {
      if constexpr (kIsVector<T>)
        return !member.empty() && std::any_of(member.begin(), member.end(), [&](const auto& entry) {
          return entry != member.front();
        });
      return false;
    }();
    switch (field.role) {
      case Role::kInputZero: {
        const std::string of = words.substr(0, words.find(" zero"));
        if (any)
          Add(What::kZero, name, 0, name + "_ignored",
              fmt::format("the {}'s zero point ignored", of));
        break;
      }
      case Role::kOutputZero:
        if (any) Add(What::kZero, name, 0, name + "_omitted", "the zero point omitted");
        break;
      case Role::kAddend:
        if (any)
          Add(What::kZero, name, 0, name + "_missing", fmt::format("the {} left out", words));
        break;
      case Role::kEpsilon:
        if (any)
          Add(What::kZero, name, 0, name + "_missing", fmt::format("the {} left out", words));
        if constexpr (std::is_same_v<T, std::int64_t>) model_.AddEps(name, member);
        break;
      case Role::kMultiplier:
      case Role::kShift:
      case Role::kCoefficient:
        // A shift, or a number of bits.
        if (std::is_same_v<T, Multiplier> || std::is_same_v<T, std::vector<Multiplier>> ||
            (kIsNumber<T> && field.bits == 8))
          OneOff(name, field.role == Role::kMultiplier ? "shift" : words);
        if (kIsVector<T> && field.optional && any)
          Add(What::kEmpty, name, 0, name + "_missing",
              fmt::format("the {}s' {}s left out", Name(field.axis), words));
        break;
      case Role::kSize:
        if constexpr (kIsNumber<T>)
          if (name == "groups") Groups(member);
        return;
      default:
        return;
    }
    if (several && field.axis != Axis::kCode)
      Add(What::kFirst, name, 0, name + "_of_first",
          fmt::format("{} 0's {} used for every {}", Name(field.axis), words, Name(field.axis)), 3);
  }

  // Of a row's columns, each normalized by itself.
  void Groups(std::int64_t stated) {
    const std::int64_t columns = model_.shape().back();
    for (std::int64_t groups = 1; groups <= 64 && groups < columns; ++groups) {
      if (columns % groups != 0 || groups == std::max<std::int64_t>(stated, 1)) continue;
      const std::string each = groups == 1
                                   ? "all columns as one group"
                                   : fmt::format("each of {} groups of columns by itself", groups);
      Add(What::kSet, "groups", groups, fmt::format("groups_{}", groups),
          fmt::format("{} instead of {}", each,
                      stated <= 1 ? "all as one" : fmt::format("each of {} groups", stated)),
          3);
    }
  }

  void OneOff(const std::string& name, const std::string& words) {
    for (const int step : {1, -1}) {
      Add(What::kAdd, name, step,
          fmt::format("{}_{}_one", words == "shift" ? words : name, step > 0 ? "plus" : "minus"),
          fmt::format("a {} that is one too {}", words, step > 0 ? "large" : "small"), 3);
    }
  }

  VariantModel& model_;
  std::set<std::string> seen_;
};

VariantModel::VariantModel(const Program& program, const Op& op, std::vector<TensorMap> inputs,
                           std::vector<std::string> axis_names,
                           std::span<const std::int64_t> actual, int threads)
    : OperationModel(
          WithImages(program.Tensor(OutputOf(op)).shape, inputs.size()), std::move(axis_names),
          {program.Tensor(OutputOf(op)).range.qmin, program.Tensor(OutputOf(op)).range.qmax},
          actual),
      inputs_(std::move(inputs)),
      threads_(threads) {
  program_.tensors = program.tensors;
  program_.ops = {op};
  for (const std::string& name : InputsOf(op)) program_.inputs.push_back(name);
  for (const std::string& name : ConstantsOf(op))
    program_.constants.emplace(name, program.Constant(name));
  for (const char* name : {"rounding", "algorithm", "parameters", "steps"}) {
    coordinates_.push_back({name, {}});
    changes_.emplace_back();
    Add(name, {}, "golden", "as given", 0);
  }
  ComputeGolden();
  Suspects suspects(*this);
  std::visit(
      [&](const auto& o) {
        ForEachField(o, suspects);
        ForEachParameter(o, suspects);
      },
      op);
  AddSteps();
  AddCodes();
  AddLists();
  AddRows();
  AddOutputRules();
}

void VariantModel::Add(const char* coordinate, Change change, std::string id, std::string phrase,
                       int cost, std::int64_t freedom) {
  for (std::size_t c = 0; c < coordinates_.size(); ++c) {
    if (coordinates_[c].name != coordinate) continue;
    changes_[c].push_back(std::move(change));
    coordinates_[c].choices.push_back(
        {std::move(id), std::move(phrase), cost, cost < 3, {}, freedom});
  }
}

// An eps takes every output towards the one of a row without variance, the more the larger it is.
// So each actual output bounds it from one side, and it is where as many are beyond the operation's
// as are short of them.
void VariantModel::AddEps(const std::string& field, std::int64_t stated) {
  const std::span<const std::int64_t> actual = this->actual();
  constexpr std::size_t kElements = std::size_t{1} << 18;  // that it is solved from, about
  const std::size_t image = actual.size() / inputs_.size();
  const std::size_t images = std::clamp<std::size_t>(kElements / image, 1, inputs_.size());
  Program program = program_;
  const auto outputs = [&](std::int64_t eps) {
    Apply({What::kSet, field, eps}, program);
    return RunImages(program, images);
  };
  const std::vector<std::int64_t> widest = outputs(0);
  const std::vector<std::int64_t> flat = outputs(kMaxNormEps);
  // How many more outputs ask for a larger eps than for a smaller one.
  const auto votes = [&](std::int64_t eps) {
    const std::vector<std::int64_t> out = outputs(eps);
    std::int64_t larger = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (widest[i] == flat[i] || out[i] == actual[i]) continue;
      larger += (out[i] > actual[i]) == (widest[i] > flat[i]) ? 1 : -1;
    }
    return larger;
  };
  // The votes never rise with eps: the first value in (least, most] for which there are fewer than
  // `fewer` of them.
  const auto first = [&](std::int64_t least, std::int64_t most, std::int64_t fewer) {
    while (most - least > 1) {
      const std::int64_t middle = least + (most - least) / 2;
      (votes(middle) < fewer ? most : least) = middle;
    }
    return most;
  };
  if (votes(0) <= 0 || votes(kMaxNormEps) >= 0) return;  // none, or nothing that bounds it
  const std::int64_t least = first(0, kMaxNormEps, 1);
  const std::int64_t most = std::max(least, first(least - 1, kMaxNormEps, 0) - 1);
  if (least <= stated && stated <= most) return;
  const std::int64_t eps = least + (most - least) / 2;
  // The nearest eps to another fault of the root breaks some of what it does not explain.
  const std::vector<std::int64_t> out = outputs(eps);
  std::int64_t explained = 0, broken = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    explained += out[i] == actual[i] && golden()[i] != actual[i] ? 1 : 0;
    broken += out[i] != actual[i] && golden()[i] == actual[i] ? 1 : 0;
  }
  if (broken * 50 > explained) return;
  std::string phrase = fmt::format("an {} of {}", field, eps);
  if (stated == 0) phrase += " where there is none";
  if (stated != 0)
    phrase += fmt::format(" instead of {}, {:.3g} times", stated,
                          static_cast<double>(eps) / static_cast<double>(stated));
  if (most > least) phrase += fmt::format(" ({} to {} fit as well)", least, most);
  Add("parameters", {What::kSet, field, eps}, fmt::format("{}_{}", field, eps), std::move(phrase),
      3);
}

std::vector<std::int64_t> VariantModel::RunImages(const Program& program,
                                                  std::size_t images) const {
  std::vector<std::int64_t> out;
  for (std::size_t image = 0; image < images; ++image) {
    const std::vector<std::int64_t> one = RunImage(program, image);
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

std::vector<std::int64_t> VariantModel::RunImage(const Program& program, std::size_t image) const {
  FastBackend backend;
  const TensorMap values =
      Execute(program, inputs_[image], static_cast<std::int64_t>(image), backend);
  return std::visit(
      [](const auto& list) { return std::vector<std::int64_t>(list.begin(), list.end()); },
      values.at(OutputOf(program.ops.front())).storage());
}

void VariantModel::Apply(const Change& change, Program& program) {
  if (change.what == What::kRows)
    MoveRows(program.constants.find(change.field)->second, change.number);
  else
    explain::Apply(change, program.ops.front());
}

std::vector<std::int64_t> VariantModel::Run(const Hypothesis& point, bool limited) const {
  const std::ptrdiff_t changes = std::ssize(point) - std::count(point.begin(), point.end(), 0);
  // Of a large tensor, two at once take too long for what they may tell.
  if (changes > 1 && pieces_ != nullptr && size() * pieces_->Work() > kMostCombined) return {};
  Program program = program_;
  if (!limited && Describe(program.ops.front()).clamps) {
    const std::string& name = OutputOf(program.ops.front());
    const auto info = std::find_if(program.tensors.begin(), program.tensors.end(),
                                   [&](const TensorInfo& tensor) { return tensor.name == name; });
    info->dtype = DType::kInt32;
    info->range = {INT32_MIN, INT32_MAX};
  }
  for (std::size_t c = 0; c < changes_.size(); ++c) Apply(changes_[c][point[c]], program);
  for (std::size_t c = 0; c < changes_.size(); ++c) {
    const Change& change = changes_[c][point[c]];
    if (change.what == What::kCodes) {
      if (changes > 1) return {};
      return WithCodes(codes_[static_cast<std::size_t>(change.number)]);
    }
    if (change.what == What::kStep)
      return RunSteps(program.ops.front(), steps_[static_cast<std::size_t>(change.number)],
                      limited);
  }
  return RunImages(program, inputs_.size());
}

// Tried on several threads at once: two may run the same hypothesis, and one's outputs are kept.
VariantModel::Outputs VariantModel::OutputsOf(const Hypothesis& point, bool limited) const {
  const std::pair key(point, limited);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = outputs_.find(key); found != outputs_.end()) return found->second;
  }
  std::vector<std::int64_t> values;
  const bool golden =
      limited && std::all_of(point.begin(), point.end(), [](auto c) { return c == 0; });
  try {
    values = Run(point, limited);
  } catch (const std::invalid_argument&) {  // parameters that the operation does not know
    if (golden) throw;
  } catch (const ProgramError&) {  // or a result outside the output's range
    if (golden) throw;
  }
  if (values.empty()) values.assign(static_cast<std::size_t>(size()), kNoValue);
  const std::lock_guard lock(mutex_);
  if (outputs_.size() * values.size() > kRemembered) outputs_.clear();
  return outputs_.emplace(key, std::make_shared<const std::vector<std::int64_t>>(std::move(values)))
      .first->second;
}

void VariantModel::Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
                           std::span<std::int64_t> out, bool limited) const {
  const Outputs outputs = OutputsOf(
      Hypothesis(point.begin(), point.begin() + static_cast<std::ptrdiff_t>(changes_.size())),
      limited);
  for (std::size_t i = 0; i < elements.size(); ++i)
    out[i] = (*outputs)[static_cast<std::size_t>(elements[i])];
}

std::vector<std::string> VariantModel::Observe(std::span<const std::int64_t>) const { return {}; }

double VariantModel::Interest(std::int64_t element) const {
  return static_cast<double>((static_cast<std::uint64_t>(element) * 0x9e3779b97f4a7c15ULL) >> 11);
}

// A row of such an operation has too many values for an input to be told in a line.
std::optional<Separation> VariantModel::Separate(const Hypothesis&, const Hypothesis&) const {
  return std::nullopt;
}

}  // namespace qsim::explain
