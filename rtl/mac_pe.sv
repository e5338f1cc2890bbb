// One processing element, combinational: the next value of an output-stationary accumulator.
// docs/numerics.md section 3.
//
//   load_i        acc_o = policy(init_i)
//   multiply mode acc_o = policy(acc_i + lhs * rhs)
//   shift mode    acc_o = policy(acc_i + (rhs << (15 - code))), and 0 for the codes from 16 on
//
// lhs_i is int8 or uint8 sign- or zero-extended by one bit, or a code; see mac_array.

`include "qsim_assert.svh"

module mac_pe #(
  parameter int unsigned LhsWidth = 8,
  parameter int unsigned RhsWidth = 8
) (
  input  qsim_pkg::operand_mode_e mode_i,
  input  logic [LhsWidth:0]       lhs_i,
  input  logic [RhsWidth-1:0]     rhs_i,

  input  logic                    load_i,
  input  logic [31:0]             init_i,
  input  logic [31:0]             acc_i,
  input  logic [31:0]             limit_i,
  input  qsim_pkg::acc_policy_e   policy_i,

  output logic [31:0]             acc_o,
  output logic                    overflow_o
);

  // |lhs * rhs| <= 2^LhsWidth * 2^(RhsWidth-1), |rhs << 15| <= 2^(RhsWidth+14): both fit 24 bits.
  localparam int unsigned ProductWidth = 24;
  `QSIM_ASSERT_INIT(ProductFits,
      LhsWidth + RhsWidth <= ProductWidth && RhsWidth + 15 <= ProductWidth,
      "LhsWidth + RhsWidth must be at most 24 and RhsWidth at most 9: a product has 24 bits")

  // verilator tracing_off
  logic [ProductWidth-1:0] lhs, rhs;
  logic [32:0]             base, addend;
  // verilator tracing_on
  logic [ProductWidth-1:0] product;
  logic [32:0]             sum;

  // Operands are extended first: their product, modulo 2^24, is then the exact one.
  assign lhs = {{(ProductWidth - LhsWidth - 1){lhs_i[LhsWidth]}}, lhs_i};
  assign rhs = {{(ProductWidth - RhsWidth){rhs_i[RhsWidth-1]}}, rhs_i};

  always_comb begin
    if (mode_i == qsim_pkg::ModeMultiply) begin
      product = lhs * rhs;
    end else if (|lhs_i[LhsWidth:4]) begin
      product = '0;
    end else begin
      product = rhs << ~lhs_i[3:0];  // 15 - code
    end
  end

  assign base   = load_i ? '0 : {acc_i[31], acc_i};
  assign addend = load_i ? {init_i[31], init_i}
                         : {{(33 - ProductWidth){product[ProductWidth-1]}}, product};
  assign sum    = base + addend;

  acc_policy #(
    .SumWidth(33)
  ) u_policy (
    .sum_i     (sum),
    .limit_i,
    .policy_i,
    .acc_o,
    .overflow_o
  );

endmodule
