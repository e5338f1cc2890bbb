// The array's operands: extends lhs, keeps the row and column sums, and makes lanes that are not used
// harmless. docs/numerics.md section 3.

`include "qsim_assert.svh"

module mac_operands #(
  parameter int unsigned Rows        = 16,
  parameter int unsigned Cols        = 16,
  parameter int unsigned LhsWidth    = 8,
  parameter int unsigned RhsWidth    = 8,
  parameter int unsigned RowSumWidth = 32,
  parameter int unsigned ColSumWidth = 24
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,

  input  logic                         clear_i,       // a new tile: forget the sums
  input  logic                         feed_i,        // a step that takes a beat of lhs_i and rhs_i
  input  qsim_pkg::operand_mode_e      mode_i,
  input  logic                         lhs_signed_i,  // ModeMultiply: lhs is two's complement
  input  logic [Rows-1:0]              row_enable_i,
  input  logic [Cols-1:0]              col_enable_i,

  input  logic [Rows*LhsWidth-1:0]     lhs_i,
  input  logic [Cols*RhsWidth-1:0]     rhs_i,
  output logic [Rows*(LhsWidth+1)-1:0] lhs_o,
  output logic [Cols*RhsWidth-1:0]     rhs_o,
  output logic [Rows*RowSumWidth-1:0]  row_sums_o,
  output logic [Cols*ColSumWidth-1:0]  col_sums_o
);

  localparam int unsigned LhsExtWidth = LhsWidth + 1;
  localparam int unsigned LhsSumWidth = 17;  // of one summand: 2^15 for log2 code 0

  // The sums over a tile: their largest magnitude is below 2^(width-1).
  `QSIM_ASSERT_INIT(LhsCodeFits, LhsWidth >= 5, "LhsWidth must be at least 5: a log2 code needs 5 bits")
  `QSIM_ASSERT_INIT(LhsSummandFits, LhsExtWidth < LhsSumWidth, "LhsWidth must be at most 15")
  `QSIM_ASSERT_INIT(RowSumFits,
      64'(qsim_pkg::MaxDepth) << (LhsWidth > 15 ? LhsWidth : 15) < 64'd1 << (RowSumWidth - 1),
      "RowSumWidth must hold 65535 times the largest lhs")
  `QSIM_ASSERT_INIT(ColSumFits,
      64'(qsim_pkg::MaxDepth) << (RhsWidth - 1) < 64'd1 << (ColSumWidth - 1),
      "ColSumWidth must hold 65535 times the largest rhs")

  logic                        shift_mode, lhs_signed;
  logic [Rows*LhsSumWidth-1:0] lhs_summand;

  assign shift_mode = mode_i == qsim_pkg::ModeShift;
  assign lhs_signed = lhs_signed_i && !shift_mode;

  for (genvar row = 0; row < Rows; row++) begin : gen_lhs
    logic [LhsWidth-1:0] element;
    logic [LhsWidth:0]   extended;
    logic [16:0]         decoded;

    assign element  = lhs_i[row*LhsWidth +: LhsWidth];
    assign extended = {element[LhsWidth-1] && lhs_signed, element};
    assign decoded  = (|element[LhsWidth-1:4]) ? '0 : 17'h08000 >> element[3:0];

    // Code 16 multiplies by 0.
    assign lhs_o[row*LhsExtWidth +: LhsExtWidth] =
        row_enable_i[row] ? extended : {{(LhsExtWidth - 5){1'b0}}, shift_mode, 4'b0000};
    assign lhs_summand[row*LhsSumWidth +: LhsSumWidth] =
        shift_mode ? decoded : {{(LhsSumWidth - LhsExtWidth){extended[LhsWidth]}}, extended};
  end

  // While the wavefront leaves, zeros follow it: a rhs of zero makes every product zero.
  for (genvar col = 0; col < Cols; col++) begin : gen_rhs
    assign rhs_o[col*RhsWidth +: RhsWidth] =
        rhs_i[col*RhsWidth +: RhsWidth] & {RhsWidth{feed_i && col_enable_i[col]}};
  end

  operand_sums #(
    .Lanes   (Rows),
    .Width   (LhsSumWidth),
    .SumWidth(RowSumWidth)
  ) u_row_sums (
    .clk_i,
    .rst_ni,
    .clear_i,
    .add_i  (feed_i),
    .data_i (lhs_summand),
    .sums_o (row_sums_o)
  );

  operand_sums #(
    .Lanes   (Cols),
    .Width   (RhsWidth),
    .SumWidth(ColSumWidth)
  ) u_col_sums (
    .clk_i,
    .rst_ni,
    .clear_i,
    .add_i  (feed_i),
    .data_i (rhs_i),
    .sums_o (col_sums_o)
  );

endmodule
