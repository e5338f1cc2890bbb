// One row of the systolic array: Cols processing elements with their accumulators and the operand
// registers to their right and below. docs/numerics.md section 3, docs/rtl.md.
//
// A lhs element enters at column 0 and moves one column to the right with every step; the row of rhs
// elements enters from above and leaves, one step later, to the row below.

`include "qsim_assert.svh"

module mac_row #(
  parameter int unsigned Cols     = 16,
  parameter int unsigned LhsWidth = 8,
  parameter int unsigned RhsWidth = 8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,

  // At most one of these at a time: multiply and accumulate; load init_i; take the row below.
  input  logic                     step_i,
  input  logic                     load_i,
  input  logic                     unload_i,

  input  qsim_pkg::operand_mode_e  mode_i,
  input  logic [31:0]              limit_i,
  input  qsim_pkg::acc_policy_e    policy_i,
  input  logic [Cols-1:0]          col_enable_i,  // columns whose overflow counts

  input  logic [LhsWidth:0]        lhs_i,
  input  logic [Cols*RhsWidth-1:0] rhs_i,
  output logic [Cols*RhsWidth-1:0] rhs_o,
  input  logic [Cols*32-1:0]       init_i,
  input  logic [Cols*32-1:0]       acc_below_i,
  output logic [Cols*32-1:0]       acc_o,

  output logic                     overflow_o     // the sum being stored left the accumulator
);
  // verilator no_inline_module

  // lhs[j] is what column j sees: the input for column 0, the register to the left for the others.
  logic [(Cols+1)*(LhsWidth+1)-1:0] lhs;
  logic [Cols*(LhsWidth+1)-1:0]     lhs_q;
  logic [Cols*RhsWidth-1:0]         rhs_q;
  logic [Cols*32-1:0]               acc_d, acc_q;
  logic [Cols-1:0]                  pe_overflow;
  logic                             unused_last_lhs;

  assign lhs             = {lhs_q, lhs_i};
  assign unused_last_lhs = ^lhs[Cols*(LhsWidth+1) +: LhsWidth+1];

  for (genvar col = 0; col < Cols; col++) begin : gen_col
    mac_pe #(
      .LhsWidth(LhsWidth),
      .RhsWidth(RhsWidth)
    ) u_pe (
      .mode_i,
      .lhs_i     (lhs[col*(LhsWidth+1) +: LhsWidth+1]),
      .rhs_i     (rhs_i[col*RhsWidth +: RhsWidth]),
      .load_i,
      .init_i    (init_i[col*32 +: 32]),
      .acc_i     (acc_q[col*32 +: 32]),
      .limit_i,
      .policy_i,
      .acc_o     (acc_d[col*32 +: 32]),
      .overflow_o(pe_overflow[col])
    );
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      lhs_q <= '0;
      rhs_q <= '0;
    end else if (step_i) begin
      lhs_q <= lhs[Cols*(LhsWidth+1)-1:0];
      rhs_q <= rhs_i;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      acc_q <= '0;
    end else if (step_i || load_i) begin
      acc_q <= acc_d;
    end else if (unload_i) begin
      acc_q <= acc_below_i;
    end
  end

  assign rhs_o      = rhs_q;
  assign acc_o      = acc_q;
  assign overflow_o = (step_i || load_i) && |(pe_overflow & col_enable_i);

  ////////////////
  // Assertions //
  ////////////////

  `QSIM_ASSERT(AtMostOneMove, $onehot0({step_i, load_i, unload_i}),
               "more than one of step, load and unload")

endmodule
