// The zero-point corrections of a row of accumulators, on its way out of the array.
// docs/numerics.md section 3: three additions, in this order, the policy acting after each.
//
//   acc - rhs_zero[n] * row_sum;   - lhs_zero * col_sum[n];   + k * lhs_zero * rhs_zero[n]
//
// A zero point of 0 adds 0, which changes no accumulator: the policy has acted on it already. One
// pipeline stage per addition.

`include "qsim_assert.svh"

module mac_correct #(
  parameter int unsigned Cols        = 16,
  parameter int unsigned LhsWidth    = 8,
  parameter int unsigned RhsWidth    = 8,
  parameter int unsigned RowSumWidth = 32,
  parameter int unsigned ColSumWidth = 24
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,

  // Stable while a row is inside. mac_array asserts it of the sums.
  input  logic [31:0]                 limit_i,
  input  qsim_pkg::acc_policy_e       policy_i,
  input  logic [Cols-1:0]             col_enable_i,
  input  logic [LhsWidth:0]           lhs_zero_i,
  input  logic [Cols*RhsWidth-1:0]    rhs_zero_i,
  input  logic [Cols*ColSumWidth-1:0] col_sums_i,
  input  logic [15:0]                 k_i,

  input  logic                        valid_i,
  output logic                        ready_o,
  input  logic [Cols*32-1:0]          acc_i,
  input  logic [RowSumWidth-1:0]      row_sum_i,

  output logic                        valid_o,
  input  logic                        ready_i,
  output logic [Cols*32-1:0]          acc_o,

  output logic                        busy_o,
  output logic                        overflow_o  // a sum stored by the last edge left the accumulator
);

  // |rhs_zero * row_sum| <= 2^7 * 2^31, |lhs_zero * col_sum| <= 2^8 * 2^23,
  // |k * lhs_zero * rhs_zero| <= 2^16 * 2^8 * 2^7: terms fit 40 bits, sums with an accumulator 41.
  localparam int unsigned SumWidth = 41;
  `QSIM_ASSERT_INIT(SumFits,
      RhsWidth + RowSumWidth < SumWidth && LhsWidth + ColSumWidth < SumWidth &&
          LhsWidth + RhsWidth + 16 < SumWidth,
      "a correction must fit 40 bits")

  `include "acc_policy.svh"

  logic                move;
  logic [2:0]          valid_q;
  logic [Cols*32-1:0]  acc0_q, acc1_q, acc2_q;
  logic [31:0]         wrap, saturate;

  assign move    = !valid_q[2] || ready_i;
  assign ready_o = move;
  assign valid_o = valid_q[2];
  assign acc_o   = acc2_q;
  assign busy_o  = |valid_q;

  assign wrap     = {32{policy_i == qsim_pkg::PolicyWrap}};
  assign saturate = {32{policy_i == qsim_pkg::PolicySaturate}};

  function automatic logic overflows(input logic [SumWidth-1:0] sum);
    overflows = sum[SumWidth-1:31] != {(SumWidth - 31){sum[SumWidth-1]}} ||
                acc_excess(sum[31:0], {32{sum[SumWidth-1]}}, limit_i) != '0;
  endfunction

  function automatic logic [31:0] result(input logic [SumWidth-1:0] sum);
    result = acc_result(sum[31:0], {32{sum[SumWidth-1]}}, {32{overflows(sum)}}, limit_i, wrap,
                        saturate);
  endfunction

  // A stage is computed only for a row, which is not in every cycle. Slices stand in the loops, where
  // their places are constants.
  logic signed [SumWidth-1:0] acc, factor, lhs_zero, sum;
  logic                       overflow;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q    <= '0;
      acc0_q     <= '0;
      acc1_q     <= '0;
      acc2_q     <= '0;
      overflow_o <= 1'b0;
    end else begin
      overflow = 1'b0;
      lhs_zero = SumWidth'($signed(lhs_zero_i));
      if (move) begin
        valid_q <= {valid_q[1:0], valid_i};
        if (valid_i) begin
          for (int unsigned col = 0; col < Cols; col++) begin
            acc      = SumWidth'($signed(acc_i[col*32 +: 32]));
            factor   = SumWidth'($signed(rhs_zero_i[col*RhsWidth +: RhsWidth]));
            sum      = acc - factor * SumWidth'($signed(row_sum_i));
            overflow = overflow || (col_enable_i[col] && overflows(sum));
            acc0_q[col*32 +: 32] <= result(sum);
          end
        end
        if (valid_q[0]) begin
          for (int unsigned col = 0; col < Cols; col++) begin
            acc      = SumWidth'($signed(acc0_q[col*32 +: 32]));
            factor   = SumWidth'($signed(col_sums_i[col*ColSumWidth +: ColSumWidth]));
            sum      = acc - factor * lhs_zero;
            overflow = overflow || (col_enable_i[col] && overflows(sum));
            acc1_q[col*32 +: 32] <= result(sum);
          end
        end
        if (valid_q[1]) begin
          for (int unsigned col = 0; col < Cols; col++) begin
            acc      = SumWidth'($signed(acc1_q[col*32 +: 32]));
            factor   = SumWidth'($signed(rhs_zero_i[col*RhsWidth +: RhsWidth]));
            sum      = acc + factor * lhs_zero * SumWidth'(k_i);
            overflow = overflow || (col_enable_i[col] && overflows(sum));
            acc2_q[col*32 +: 32] <= result(sum);
          end
        end
      end
      overflow_o <= overflow;
    end
  end

  ////////////////
  // Assertions //
  ////////////////

  // The output stream's stability is asserted by the stream_register that takes it.

  `QSIM_ASSERT(InputStable, valid_i && !ready_o |=> valid_i && $stable(acc_i) && $stable(row_sum_i),
               "the producer changed a row before it was taken")

  `QSIM_ASSERT(FieldsStable,
               busy_o |-> $stable(rhs_zero_i) && $stable(col_enable_i) &&
                          $stable({limit_i, k_i, lhs_zero_i, policy_i}),
               "a field changed while a row was inside")

endmodule
