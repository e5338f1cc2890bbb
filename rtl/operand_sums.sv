// Running sums of an operand's lanes, for the zero-point corrections of docs/numerics.md section 3:
// the row sums of lhs and the column sums of rhs. They outlive the passes of one output tile.

`include "qsim_assert.svh"

module operand_sums #(
  parameter int unsigned Lanes    = 16,
  parameter int unsigned Width    = 9,   // of a lane's two's complement element
  parameter int unsigned SumWidth = 32   // holds the sum of qsim_pkg::MaxDepth elements
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      clear_i,
  input  logic                      add_i,
  input  logic [Lanes*Width-1:0]    data_i,
  output logic [Lanes*SumWidth-1:0] sums_o
);

  logic [Lanes*SumWidth-1:0] sums_d, sums_q;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    assign sums_d[lane*SumWidth +: SumWidth] = sums_q[lane*SumWidth +: SumWidth]
        + {{(SumWidth - Width){data_i[lane*Width + Width - 1]}}, data_i[lane*Width +: Width]};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      sums_q <= '0;
    end else if (clear_i) begin
      sums_q <= '0;
    end else if (add_i) begin
      sums_q <= sums_d;
    end
  end

  assign sums_o = sums_q;

  `QSIM_ASSERT_INIT(SumIsWider, SumWidth > Width, "SumWidth must be above Width")

  `QSIM_ASSERT(AtMostOneChange, !(clear_i && add_i), "clear and add in one cycle")

endmodule
