#include "sim/cli/eval_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden/kernels/choice.h"
#include "golden/program/executor.h"
#include "sim/cli/eval_loop.h"
#include "sim/cli/model_identity.h"
#include "sim/error.h"
#include "sim/inputs/input_reader.h"
#include "sim/inputs/inputs_hash.h"
#include "sim/io/files/resume_log.h"
#include "sim/report/perplexity_report.h"
#include "sim/run/float_taps.h"
#include "sim/semantics/mixed.h"
#include "sim/semantics/model_check.h"
#include "sim/statistics/next_token.h"

namespace qsim::cli {
namespace {

// The evaluation files: of each the first tokens, one more than are predicted.
class Sequences {
 public:
  Sequences(const EvalOptions& options, const LoadedModel& loaded)
      : reader_(loaded.manifest, loaded.manifest.Evaluation(), InputUse::kEvaluation),
        most_(options.tokens) {
    if (most_ > 0 && reader_.lengths() && reader_.lengths()->min <= most_) {
      std::cerr << NoteLine(
          fmt::format("--tokens {}: the shortest file has {} tokens, of which {} are predicted",
                      most_, reader_.lengths()->min, reader_.lengths()->min - 1));
    }
  }

  std::int64_t count() const { return reader_.count(); }
  std::string Name(std::int64_t i) const { return reader_.NameOf(i); }
  ModelInputs Load(std::int64_t i) const {
    ModelInputs inputs = reader_.Read(i, 1);
    if (most_ > 0) KeepFirst(inputs, most_ + 1);
    if (LengthOf(inputs, 0) < 2) {
      throw InputError(
          fmt::format("{}: has one token, and nothing to predict; leave it out", Name(i)));
    }
    return inputs;
  }
  // Of the tokens themselves, for a state file; one that cannot be read counts as that.
  std::string Hash() const {
    Sha256 hash;
    for (std::int64_t i = 0; i < count(); ++i) {
      try {
        AddTo(hash, Load(i));
      } catch (const InputError&) {
        hash.Update("unreadable");
      }
    }
    return hash.Finish();
  }

 private:
  InputReader reader_;
  std::int64_t most_;
};

// The last of the tensors that stand for the network's end: its products, or what they become.
// Empty: the program ends before it.
std::string LogitsOf(const Program& program, const network::Network& model) {
  std::string last;
  for (const TensorInfo& info : program.tensors) {
    const network::Node* node = model.NodeOf(info.name);
    if (node != nullptr && node->name == model.End().name) last = info.name;
  }
  return last;
}

class TokenJudge {
 public:
  TokenJudge(const Bundle& bundle, const network::Network& model, const Sequences& sequences,
             const EvalOptions& options)
      : bundle_(bundle),
        program_(bundle.program),
        model_(model),
        sequences_(sequences),
        only_(options.only),
        golden_(KernelsOf(options.kernels), bundle.program),
        last_(model.End()),
        logits_(LogitsOf(bundle.program, model)),
        last_reads_(LastReads(bundle.program)),
        wanted_({last_.name}),
        kept_({logits_}) {
    for (const Carried& carried : program_.carried) kept_.insert(carried.output);
  }

  SequenceBits Judge(std::int64_t i) {
    SequenceBits bits;
    bits.index = i;
    bits.name = sequences_.Name(i);
    const ModelInputs inputs = sequences_.Load(i);
    const IntTensor ids = std::get<TokenInputs>(inputs.data).Sequence(0);
    bits.tokens = ids.size() - 1;
    const std::vector<Piece> pieces = only_ == "float" ? CutOf(bits.tokens, {kDefaultChunk})
                                                       : PiecesOf(program_, bits.tokens, {});
    const auto next = [&](const Piece& piece) {
      return std::span(ids.As<std::int32_t>())
          .subspan(static_cast<std::size_t>(piece.first) + 1,
                   static_cast<std::size_t>(piece.length));
    };
    if (Asked("float")) bits.reference = InFloat(inputs, pieces, next);
    if (Asked("ideal")) bits.ideal = Ideal(inputs, pieces, next);
    if (Asked("integer")) bits.integer = Integer(i, inputs, pieces, next);
    return bits;
  }

 private:
  std::int64_t Width() const { return last_.shape.back(); }
  bool Asked(std::string_view executor) const { return only_.empty() || only_ == executor; }

  double InFloat(const ModelInputs& inputs, const std::vector<Piece>& pieces, auto next) const {
    const FloatSource source = {model_, inputs};
    FloatRun::State carried;
    double bits = 0;
    for (const Piece& piece : pieces) {
      FloatTaps taps(source, 0, wanted_, piece, std::move(carried));
      const std::vector<float>& logits = taps.Find(&last_)->data;
      bits += BitsOfNext(std::vector<double>(logits.begin(), logits.end()), Width(), next(piece));
      if (!piece.last) carried = taps.Carried();
    }
    return bits;
  }

  double Ideal(const ModelInputs& inputs, const std::vector<Piece>& pieces, auto next) {
    const MixedExecutor& mixed = Executor(inputs);
    const Modes modes = mixed.AllOf(Exactness::Ideal());
    MixedState carried;
    double bits = 0;
    for (const Piece& piece : pieces) {
      MixedState state = mixed.ExactInputs(PieceOf(inputs, 0, piece), 0);
      for (const auto& [name, value] : carried) state[name] = value;
      state = mixed.RunForOutputs(state, modes, kept_);
      bits += BitsOfNext(state.at(logits_)->Doubles(), Width(), next(piece));
      carried.clear();
      for (const Carried& c : program_.carried) carried[c.input] = state.at(c.output);
    }
    return bits;
  }

  double Integer(std::int64_t index, const ModelInputs& inputs, const std::vector<Piece>& pieces,
                 auto next) {
    const FloatSource source = {model_, inputs};
    const std::set<std::string> entries(program_.inputs.begin(), program_.inputs.end());
    Execution execution(program_, index, *golden_, nullptr, {.kept = &kept_});
    double bits = 0;
    for (const Piece& piece : pieces) {
      FloatTaps taps(source, 0, entries, piece);
      for (const std::string& name : program_.inputs)
        execution.Supply(name, ProgramInput(bundle_, source, 0, name, taps, nullptr, piece));
      for (std::size_t op = 0; op < program_.ops.size(); ++op) {
        execution.Step(op);
        for (const std::string& name : last_reads_[op]) {
          if (!kept_.contains(name)) execution.Drop(name);
        }
      }
      const IntTensor& logits = execution.values().at(logits_);
      bits += BitsOfNext(bundle_.GridOf(logits_).Dequantize(logits), Width(), next(piece));
      if (!piece.last) execution.Advance();
    }
    return bits;
  }

  // One for all sequences, made with the first: all of them are alike.
  const MixedExecutor& Executor(const ModelInputs& inputs) {
    const std::lock_guard lock(mutex_);
    if (!mixed_) {
      first_ = inputs;
      mixed_.emplace(bundle_, model_, first_);
    }
    return *mixed_;
  }

  const Bundle& bundle_;
  const Program& program_;
  const network::Network& model_;
  const Sequences& sequences_;
  const std::string only_;
  ChosenBackend golden_;
  const network::Node& last_;
  std::string logits_;                                // in integers
  std::vector<std::vector<std::string>> last_reads_;  // by operation
  std::set<std::string> wanted_, kept_;
  std::mutex mutex_;
  ModelInputs first_;
  std::optional<MixedExecutor> mixed_;
};

}  // namespace

int RunTokenEval(const EvalOptions& options, const LoadedModel& loaded) {
  const Sequences sequences(options, loaded);
  if (options.images > sequences.count()) {
    throw InputError(fmt::format("--images {}: there are {} evaluation files", options.images,
                                 sequences.count()));
  }
  const std::int64_t count = options.images < 0 ? sequences.count() : options.images;
  if (loaded.model.Logits() == nullptr)
    throw InputError("eval: this model has no head, and so no probabilities of tokens");
  // In float, nothing is calibrated.
  const Bundle bundle = options.only == "float"  ? Bundle()
                        : options.bundle.empty() ? CalibrateLoaded(loaded)
                                                 : OpenBundle(options.bundle);
  if (!options.bundle.empty() && options.only != "float") {
    CheckStandsFor(bundle, loaded.model, sequences.Load(0));
    if (LogitsOf(bundle.program, loaded.model).empty()) {
      throw InputError(fmt::format("{}: ends before '{}', which gives the probabilities of tokens",
                                   options.bundle.string(), loaded.model.End().name));
    }
  }
  Identity identity;
  if (!options.state.empty()) {
    identity = ModelIdentity(options.model, loaded);
    identity.emplace_back("program", HashOf(bundle));
    identity.emplace_back("tokens", sequences.Hash());
  }
  ResumeLog state(options.state, "eval-tokens 2", identity);
  TokenJudge judge(bundle, loaded.model, sequences, options);
  const auto parse = [&](std::int64_t index, const std::string& line) {
    auto bits = ParseSequenceBits(index, line);
    if (bits && index < count) bits->name = sequences.Name(index);
    return bits;
  };
  auto [all, status] = JudgeAll({"sequences", count, options.batch, loaded.calibrate.threads},
                                state, parse, [&](std::int64_t i) { return judge.Judge(i); });
  const PerplexitySummary summary = Summarise(std::move(all));
  std::cout << (options.json ? PerplexityJsonText(summary)
                             : FormatPerplexity(summary, options.verbose));
  return status;
}

}  // namespace qsim::cli
