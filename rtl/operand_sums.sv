// Running sums of an operand's lanes, for the zero-point corrections of docs/numerics.md section 3:
// the row sums of lhs and the column sums of rhs. The sums of a tile are handed over when it is
// complete, and kept while the next tile's are being added up.

`include "qsim_assert.svh"

module operand_sums #(
  parameter int unsigned Lanes    = 16,
  parameter int unsigned Width    = 8,   // of a lane
  parameter int unsigned SumWidth = 32   // up to 32; holds the sum of qsim_pkg::MaxDepth elements
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      add_i,
  input  logic                      signed_i,     // a lane is two's complement
  input  logic                      code_i,       // a lane is a log2 code c: 2^(15 - c), 0 from 16 on
  input  logic [Lanes*Width-1:0]    data_i,
  input  logic                      hand_over_i,  // after what this edge adds
  output logic [Lanes*SumWidth-1:0] sums_o        // as handed over last
);

  logic [31:0] sums_q [Lanes];
  logic [31:0] element;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      for (int unsigned lane = 0; lane < Lanes; lane++) sums_q[lane] = '0;
      sums_o <= '0;
    end else begin
      if (add_i && code_i) begin
        for (int unsigned lane = 0; lane < Lanes; lane++) begin
          element      = 32'(data_i[lane*Width +: Width]);
          sums_q[lane] = sums_q[lane] + ((32'h8000 >> element[3:0]) & {32{element < 32'd16}});
        end
      end else if (add_i) begin
        for (int unsigned lane = 0; lane < Lanes; lane++) begin
          element      = 32'(data_i[lane*Width +: Width]);
          element      = element - ((element << 1) & {32{signed_i}} & (32'd1 << Width));
          sums_q[lane] = sums_q[lane] + element;
        end
      end
      if (hand_over_i) begin
        for (int unsigned lane = 0; lane < Lanes; lane++) begin
          sums_o[lane*SumWidth +: SumWidth] <= sums_q[lane][SumWidth-1:0];
          sums_q[lane] = '0;
        end
      end
    end
  end

  `QSIM_ASSERT_INIT(SumIsWider, SumWidth > Width && SumWidth <= 32,
                    "SumWidth must be above Width and at most 32")

endmodule
