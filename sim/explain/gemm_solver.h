// Solves what may be wrong in a matrix product from the outputs that differ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/explain/gemm_model.h"

namespace qsim::explain {

// Each of these adds choices that the mismatches themselves ask for: tried on a dozen of them, a
// family of rules may have thousands of members.
class GemmModel::Solver {
 public:
  explicit Solver(GemmModel& model);
  void Add();

 private:
  // gemm_solved.cpp: what is computed from other parameters.
  void AddCorrections();
  void NameCorrection(const Correction& found);
  void AddBiases();
  void AddBias(std::vector<std::int64_t> bias, std::string id, std::string phrase,
               std::int64_t freedom);
  void AddHeads();
  void AddHeadsOf(bool left);
  // gemm_sums.cpp: how sums are made.
  void AddMissingTerms();
  void AddGroups();
  void AddTileTruncation();
  void AddTile(const AccChoice& acc);
  void AddTileSaturation();
  void AddDepthOrders();
  void AddColumns();
  void AddBorrows();
  // gemm_entries.cpp: operands read from other places.
  void AddEntries();
  void AddTransposedTiles(bool left);
  void AddLateEntries(bool left);
  void AddOtherTiles(bool left);
  void AddLateTiles(bool left);
  void AddStaleTile(bool left);
  void AddStaleTile(bool left, std::int64_t first, std::int64_t end, Entry distance);
  void AddOtherProduct(bool left);
  void AddOtherBits(bool left);
  bool TryOperand(OperandChoice operand, std::string id, std::string phrase, std::int64_t freedom);
  bool TryEntries(bool left, Entries entries, std::string id, std::string phrase,
                  std::int64_t freedom);
  void AddCarries();

  Settings Golden() const { return model_.SettingsOf(model_.Golden()); }
  bool Fits(const Settings& settings, const std::vector<std::int64_t>& elements) const;
  bool Fits(const Settings& settings) const { return Fits(settings, few_); }
  // The same of another accumulator alone.
  bool Accumulates(const AccChoice& acc) const;
  // Of accumulators that fit, three at most: those that fit more outputs best, matching ones too.
  void KeepBest(std::vector<AccChoice>& fits) const;
  void AddChoice(std::size_t coordinate, std::string id, std::string phrase, int cost,
                 std::int64_t freedom);
  std::int64_t Actual(std::int64_t e) const { return model_.actual()[static_cast<std::size_t>(e)]; }
  std::int64_t Difference(std::int64_t e) const {
    return Actual(e) - model_.golden()[static_cast<std::size_t>(e)];
  }
  // 1, 2, 4, ... and then all others up to K.
  std::vector<std::int64_t> Tiles() const;

  GemmModel& model_;
  const GemmSpec& spec_;
  std::vector<std::int64_t> few_, many_;  // mismatches
  std::vector<Terms> golden_terms_;       // of the few
};

}  // namespace qsim::explain
