// The faults that are planted in a bundle after its lowering: mistakes of a flow, carried out on
// its result. sim/diagnose/faults.h names them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/diagnose/relower.h"

namespace qsim {

struct BundleFault {
  // Whether the operation that computes a tensor (null for an input of the program) can have it.
  std::function<bool(const std::string& tensor, const Op* op, const Bundle& bundle)> applies;
  std::function<void(const std::string& tensor, const Relowering& relowering, Bundle& bundle)>
      plant;

  // The tensors that can have it.
  std::vector<std::string> Candidates(const Bundle& bundle) const;
};

// Of linear layers.
BundleFault DoubleQuantization();
BundleFault StackedScale();
BundleFault HeadLayout();
BundleFault HeadTranspose();
BundleFault ChannelsSwapped();
BundleFault BiasDropped();
BundleFault WeightRowZeroed();
BundleFault SignFlipped();

// Of the other operations and their tensors' grids.
BundleFault ScaleMismatch();
BundleFault ZeroPointMismatch();
BundleFault HeadDimScale();
BundleFault NarrowMultiplier();
BundleFault ChannelOutliers();
BundleFault VarianceUnderflow();
BundleFault GeluOfRelu();
BundleFault SoftmaxConstants();

}  // namespace qsim
