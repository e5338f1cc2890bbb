// What every test of the second family starts from.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/calibrate.h"
#include "sim/config/config.h"
#include "tests/network/families/translator.h"

namespace qsim::testing {

struct TranslatorSubject {
  network::Network model = Translator::Build();
  ModelInputs calibration = Translator::Inputs(32, 2);
  ModelInputs evaluation = Translator::Inputs(6, 3);

  Config ConfigOf(const std::vector<std::string>& settings = {}) const {
    Config config = Config::Load({}, model.Vocabulary());
    for (const std::string& setting : settings) config.Set(setting);
    return config;
  }
  CalibrateOptions Options() const {
    CalibrateOptions options;
    options.scope = Scope::kModel;
    return options;
  }
  Bundle BundleOf(const std::vector<std::string>& settings = {}) const {
    return Calibrate(model, ConfigOf(settings), calibration, Options());
  }
};

inline const TranslatorSubject& Subject() {
  static const TranslatorSubject subject;
  return subject;
}

}  // namespace qsim::testing
