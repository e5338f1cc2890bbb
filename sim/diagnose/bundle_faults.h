// The faults that are planted in a bundle after its lowering: mistakes of a flow, carried out on
// its result. sim/diagnose/faults.h names them.
#pragma once

#include <functional>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/rederivation.h"

namespace qsim::diagnose {

// A tensor of a program, and what computes it.
struct Victim {
  const network::Network& model;
  const Rederivation& rederivation;
  Bundle& bundle;
  const std::string& tensor;
  const network::Node& node;  // that it stands for
  Op* op;                     // null: an input of the program
};

struct BundleFault {
  std::function<bool(const Victim& victim)> applies;
  std::function<void(const Victim& victim)> plant;
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
BundleFault TableOfRelu();
BundleFault CoarseConstants();

}  // namespace qsim::diagnose
