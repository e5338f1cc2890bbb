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

  input  logic                         feed_i,        // a step that takes a beat of lhs_i and rhs_i
  input  logic                         hand_over_i,   // a tile is complete with what this edge feeds
  input  qsim_pkg::operand_mode_e      mode_i,
  input  logic                         lhs_signed_i,  // ModeMultiply: lhs is two's complement
  input  logic [Rows-1:0]              row_enable_i,
  input  logic [Cols-1:0]              col_enable_i,

  input  logic [Rows*LhsWidth-1:0]     lhs_i,
  input  logic [Cols*RhsWidth-1:0]     rhs_i,
  output logic [Rows*(LhsWidth+1)-1:0] lhs_o,
  output logic [Cols*RhsWidth-1:0]     rhs_o,
  output logic [Rows*RowSumWidth-1:0]  row_sums_o,    // of the tile that was handed over last
  output logic [Cols*ColSumWidth-1:0]  col_sums_o
);

  localparam int unsigned LhsExtWidth = LhsWidth + 1;

  // The sums over a tile: their largest magnitude is below 2^(width-1).
  `QSIM_ASSERT_INIT(LhsCodeFits, LhsWidth >= 5, "LhsWidth must be at least 5: a log2 code needs 5 bits")
  `QSIM_ASSERT_INIT(RowSumFits,
      64'(qsim_pkg::MaxDepth) << (LhsWidth > 15 ? LhsWidth : 15) < 64'd1 << (RowSumWidth - 1),
      "RowSumWidth must hold 65535 times the largest lhs")
  `QSIM_ASSERT_INIT(ColSumFits,
      64'(qsim_pkg::MaxDepth) << (RhsWidth - 1) < 64'd1 << (ColSumWidth - 1),
      "ColSumWidth must hold 65535 times the largest rhs")

  logic                     shift_mode, lhs_signed;
  logic [Cols*RhsWidth-1:0] col_mask;

  assign shift_mode = mode_i == qsim_pkg::ModeShift;
  assign lhs_signed = lhs_signed_i && !shift_mode;

  for (genvar row = 0; row < Rows; row++) begin : gen_lhs
    logic [LhsWidth-1:0] element;

    assign element = lhs_i[row*LhsWidth +: LhsWidth];
    // Code 16 multiplies by 0.
    assign lhs_o[row*LhsExtWidth +: LhsExtWidth] =
        row_enable_i[row] ? {element[LhsWidth-1] && lhs_signed, element}
                          : {{(LhsExtWidth - 5){1'b0}}, shift_mode, 4'b0000};
  end

  for (genvar col = 0; col < Cols; col++) begin : gen_col_mask
    assign col_mask[col*RhsWidth +: RhsWidth] = {RhsWidth{col_enable_i[col]}};
  end
  // Where nothing is fed, zeros follow the wavefront: a rhs of zero makes every product zero.
  assign rhs_o = rhs_i & col_mask & {(Cols*RhsWidth){feed_i}};

  operand_sums #(
    .Lanes   (Rows),
    .Width   (LhsWidth),
    .SumWidth(RowSumWidth)
  ) u_row_sums (
    .clk_i,
    .rst_ni,
    .add_i      (feed_i),
    .signed_i   (lhs_signed),
    .code_i     (shift_mode),
    .data_i     (lhs_i),
    .hand_over_i,
    .sums_o     (row_sums_o)
  );

  operand_sums #(
    .Lanes   (Cols),
    .Width   (RhsWidth),
    .SumWidth(ColSumWidth)
  ) u_col_sums (
    .clk_i,
    .rst_ni,
    .add_i      (feed_i),
    .signed_i   (1'b1),
    .code_i     (1'b0),
    .data_i     (rhs_i),
    .hand_over_i,
    .sums_o     (col_sums_o)
  );

endmodule
