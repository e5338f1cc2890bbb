// Every tensor of the float network for one input, by node.
#pragma once

#include <map>
#include <string>

#include "sim/semantics/float_run.h"
#include "tests/namespaces.h"

namespace qsim::testing {

inline std::map<std::string, FloatTensor> FloatValues(const network::Network& network,
                                                      const ModelInputs& inputs,
                                                      std::int64_t image) {
  std::map<std::string, FloatTensor> values;
  const FloatRun run(network);
  FloatRun::State state = run.Begin(inputs, image);
  for (int part = 0; part < network.parts(); ++part) {
    run.Part(part, state, [&](const network::Node& node, const FloatTensor& value) {
      if (node.compared) values[node.name] = value;
    });
  }
  return values;
}

}  // namespace qsim::testing
