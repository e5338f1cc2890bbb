#include "sim/diagnose/causes/carried_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "golden/program/accumulator_proof.h"
#include "sim/diagnose/structure.h"

namespace qsim::diagnose {
namespace {

constexpr double kMargin = 1.05;     // of a state's width: what is on a grid goes beyond the floats
constexpr double kKeptShare = 0.01;  // of decays that are below 1 and become 1
constexpr int kWideDecayBits = 16;

double Percent(std::int64_t part, std::int64_t of) {
  return 100 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(of, 1));
}

// The codes of zeros.
IntTensor ZerosOf(const Bundle& bundle, const std::string& tensor) {
  const TensorInfo& info = bundle.program.Tensor(tensor);
  IntTensor zeros(info.dtype, info.shape);
  std::visit(
      [&]<typename T>(std::vector<T>& codes) {
        bundle.GridOf(tensor).ForEach(codes.size(), [&](std::size_t i, Quantization q) {
          codes[i] = static_cast<T>(q.zero);
        });
      },
      zeros.storage());
  return zeros;
}

class CarriedSearch : CauseSearch {
 public:
  CarriedSearch(const DiagnosisSubject& subject, const Probe& probe,
                const SharedRederivation& rederivation)
      : CauseSearch(subject, rederivation), probe_(probe) {}

  std::vector<Suspect> Find() {
    const Program& program = subject_.bundle.program;
    for (const Carried& carried : program.carried) CheckInitial(carried);
    for (const Op& op : program.ops) {
      const auto* state = std::get_if<RecurrenceStateOp>(&op);
      if (state == nullptr) continue;
      const StateUse& use = probe_.states.at(state->output);
      CheckWidth(*state, use);
      CheckDecay(*state, use);
    }
    return std::move(found_);
  }

 private:
  void CheckInitial(const Carried& carried) {
    const IntTensor& initial = subject_.bundle.program.Constant(carried.initial);
    const IntTensor zeros = ZerosOf(subject_.bundle, carried.input);
    std::int64_t off = 0, most = 0;
    for (std::int64_t i = 0; i < zeros.size(); ++i) {
      const std::int64_t by = std::abs(initial.At(i) - zeros.At(i));
      off += by != 0;
      most = std::max(most, by);
    }
    if (off == 0) return;
    tensor_ = carried.input;
    Report(
        Cause::kInitialState,
        fmt::format("a sequence begins with '{}', which does not stand for zeros: {} of {} codes "
                    "are up to {} steps off",
                    carried.initial, off, zeros.size(), most),
        {{"codes off", Percent(off, zeros.size()), "%"},
         {"farthest", static_cast<double>(most), " steps"}},
        1);
    AddRepair("begin with the code of zero", [carried](Bundle& bundle) {
      bundle.program.constants.at(carried.initial) = ZerosOf(bundle, carried.input);
    });
  }

  // ---- states ----

  void CheckWidth(const RecurrenceStateOp& op, const StateUse& use) {
    if (use.clamped == 0) return;
    const TensorInfo& info = subject_.bundle.program.Tensor(op.output);
    const int bits = BitsFor({info.range.qmin, info.range.qmax});
    int wanted = bits + 1;
    while (std::ldexp(1.0, wanted - 1) - 1 < kMargin * use.peak) ++wanted;
    tensor_ = op.output;
    const double share = Percent(use.clamped, use.updates);
    const double reach = use.peak / std::max(1.0, static_cast<double>(info.range.qmax));
    Report(Cause::kStateSaturates,
           fmt::format("its state '{}' of {} bits saturates: {:.2g} % of the updates are clamped, "
                       "and the data reach {:.3g} times its range; {} bits of this scale would do",
                       op.output, bits, share, reach, wanted),
           {{"updates clamped", share, "%"},
            {"largest state beside its range", reach, "x"},
            {"bits for these data", static_cast<double>(wanted), ""},
            {"bits that are proven to suffice",
             static_cast<double>(ProveAccumulator(subject_.bundle.program, op).bits_needed), ""}},
           reach * reach);
    Activation grid = StatedActivation(subject_.bundle, op.output);
    std::string text = fmt::format("give the state {} bits of the same scale", wanted);
    if (wanted > 32) {
      text = "give the state coarser steps, which reach as far as it grows";
      for (double& s : grid.scale) s = std::ldexp(s, wanted - 32);
    }
    const auto half = std::int64_t{1} << (std::min(wanted, 32) - 1);
    grid.range = {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)};
    AddRepair(std::move(text), [rederivation = rederivation_, op, grid](Bundle& bundle) {
      Regrid(op, grid, *rederivation, bundle);
    });
  }

  // Of the state and of what it is carried to, in whose steps its initial values stay zeros.
  static void Regrid(const RecurrenceStateOp& op, const Activation& grid,
                     const Rederivation& rederivation, Bundle& bundle) {
    rederivation.Regrid(grid, bundle);
    for (const Carried& carried : bundle.program.carried) {
      if (carried.input == op.past)
        bundle.program.constants.at(carried.initial) = ZerosOf(bundle, op.past);
    }
  }

  // ---- decays ----

  void CheckDecay(const RecurrenceStateOp& op, const StateUse& use) {
    const double share = Percent(use.kept, use.decays);
    if (share < 100 * kKeptShare || op.update.decay_shift >= kWideDecayBits) return;
    tensor_ = op.decay;
    Report(Cause::kDecayRoundsToOne,
           fmt::format("{:.0f} % of its decays are below 1 and become 1 in steps of 1 / {}: the "
                       "state never forgets",
                       share, std::int64_t{1} << op.update.decay_shift),
           {{"decays that become 1", share, "%"}}, share / 100);
    AddRepair(fmt::format("give the decays {} bits", kWideDecayBits),
              [rederivation = rederivation_, decay = op.decay](Bundle& bundle) {
                const auto one = std::int32_t{1} << kWideDecayBits;
                rederivation->Regrid({decay, {0, one - 1}, {1.0 / one}, {-1}, {}}, bundle);
              });
    const network::SectionKey* key = SectionOf(subject_.model, tensor_);
    if (key == nullptr) return;
    AddSettings(fmt::format("give the decays {} bits", kWideDecayBits),
                {fmt::format("{}.bit_type.bits={}", TextOf(*key), kWideDecayBits)});
  }

  const Probe& probe_;
};

}  // namespace

std::vector<Suspect> CarriedCauses(const DiagnosisSubject& subject, const Probe& probe,
                                   const SharedRederivation& rederivation) {
  return CarriedSearch(subject, probe, rederivation).Find();
}

}  // namespace qsim::diagnose
