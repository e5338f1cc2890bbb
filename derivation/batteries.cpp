#include "derivation/batteries.h"

namespace qsim::derivation {

std::vector<Battery> AllBatteries() {
  std::vector<Battery> all;
  for (const auto batteries :
       {RoundingBatteries, RequantizeBatteries, SoftmaxBatteries, LayernormBatteries, GeluBatteries,
        RmsnormBatteries, RowBatteries, SequenceBatteries, KernelBatteries}) {
    const std::span<const Battery> family = batteries();
    all.insert(all.end(), family.begin(), family.end());
  }
  return all;
}

std::vector<BatteryResult> RunBatteries(std::uint64_t seed) {
  std::vector<BatteryResult> results;
  for (const Battery& battery : AllBatteries()) {
    Comparison comparison(seed);
    battery.run(comparison);
    results.push_back({battery, comparison.compared(), comparison.mismatches(),
                       comparison.first_mismatch(), comparison.Digest()});
  }
  return results;
}

std::string DigestOf(const std::vector<BatteryResult>& results) {
  Sha256 hash;
  for (const BatteryResult& r : results) {
    hash.Update(r.battery.operation);
    hash.Update(" ");
    hash.Update(r.battery.scheme);
    hash.Update(" ");
    hash.Update(r.digest);
    hash.Update("\n");
  }
  return hash.Finish();
}

}  // namespace qsim::derivation
