// The activations of transformers' MLPs, by the names that their configurations give them.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// "gelu", "gelu_new", "quick_gelu", ... Throws InputError for any other name.
Function ActivationNamed(const std::string& name, const Manifest& manifest);

// x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3): GELU with tanh for the error function.
double TanhGelu(double x);
// x / (1 + e^(-1.702 x)).
double QuickGelu(double x);
double Relu(double x);
// x / (1 + e^(-x)).
double Silu(double x);
// log(1 + e^x).
double Softplus(double x);

}  // namespace qsim::network
