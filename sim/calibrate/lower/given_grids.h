// Grids that a file gives in place of those that a calibration chooses.
#pragma once

#include <string>
#include <vector>

#include "sim/bundle/grids_file.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/semantics/activation.h"

namespace qsim::calibrate {

class GivenGrids {
 public:
  // `file` may be null; both must outlive this. Throws InputError for a tensor whose grid is not
  // there to be given.
  GivenGrids(const GridsFile* file, const Plan& plan, Realise realise);

  const std::string& file() const { return file_->file; }
  bool Has(const std::string& tensor) const;
  // Puts the file's grid, if it has one, in the chosen one's place. Throws InputError naming file,
  // line and tensor where the operations around it cannot take it; what would be right is in the
  // message, and under `--realise nearest` in the grid.
  void Replace(const NodePlan& node, Activation& chosen, std::vector<LoweringNote>& notes) const;

  // A scale that must be another one: as above.
  void Require(const Activation& grid, double& scale, double right, const std::string& why,
               std::vector<LoweringNote>& notes) const;
  // The factors of a product's two operands cancel.
  void RequireReciprocal(const Activation& lhs, const Activation& rhs) const;

 private:
  void CheckSoftmax(const NodePlan& node, const Activation& chosen, Activation& grid,
                    std::vector<LoweringNote>& notes) const;
  void Check(const NodePlan& node, Activation& grid, std::vector<LoweringNote>& notes) const;
  [[noreturn]] void Fail(const std::string& tensor, const std::string& what) const;

  const GridsFile* file_;
  const Plan& plan_;
  Realise realise_;
};

}  // namespace qsim::calibrate
