// What an accumulator does with a sum that its width can not hold. docs/numerics.md section 3.
//
// The one place where the policy acts: the processing elements and the zero-point corrections both
// pass every sum through it. The accumulator has W = 16..32 bits, given as its smallest value
// limit_i = -2^(W-1), sign-extended to 32 bits; the largest value is then ~limit_i.
//
//   policy_i        a sum outside [-2^(W-1), 2^(W-1) - 1] becomes
//   PolicyError     the sum modulo 2^32: only overflow_o matters, the result is not to be used
//   PolicyWrap      the sum modulo 2^W, sign-extended
//   PolicySaturate  the nearer end of the range
//
// Combinational: mac_array asserts that a command has one of these codes and keeps it.

`include "qsim_assert.svh"

// Waveforms show its ports' drivers in the modules around it; its own copies would double their size.
// verilator tracing_off
module acc_policy #(
  parameter int unsigned SumWidth = 33  // of the two's complement sum; above 32
) (
  input  logic [SumWidth-1:0]   sum_i,
  input  logic [31:0]           limit_i,
  input  qsim_pkg::acc_policy_e policy_i,
  output logic [31:0]           acc_o,
  output logic                  overflow_o
);

  logic        negative;
  logic [31:0] sign_bit;  // one-hot: bit W-1

  assign negative = sum_i[SumWidth-1];
  assign sign_bit = limit_i ^ (limit_i << 1);

  // The sum fits when every bit from W-1 upward equals its sign.
  assign overflow_o = |((sum_i ^ {SumWidth{negative}}) & {{(SumWidth - 32){1'b1}}, limit_i});

  always_comb begin
    acc_o = sum_i[31:0];
    if (overflow_o) begin
      if (policy_i == qsim_pkg::PolicySaturate) begin
        acc_o = negative ? limit_i : ~limit_i;
      end else if (policy_i == qsim_pkg::PolicyWrap) begin
        acc_o = (|(sum_i[31:0] & sign_bit)) ? (sum_i[31:0] | limit_i) : (sum_i[31:0] & ~limit_i);
      end
    end
  end

  `QSIM_ASSERT_INIT(SumWidthLegal, SumWidth > 32, "SumWidth must be above 32")

endmodule
// verilator tracing_on
