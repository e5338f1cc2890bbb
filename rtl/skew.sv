// Turns a beat into the slanted wavefront a systolic array needs: lane i is delayed by i steps.

module skew #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned Width = 8
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   step_i,
  input  logic [Lanes*Width-1:0] data_i,
  output logic [Lanes*Width-1:0] data_o
);

  assign data_o[0 +: Width] = data_i[0 +: Width];

  if (Lanes == 1) begin : gen_single_lane
    logic unused_clocking;
    assign unused_clocking = ^{clk_i, rst_ni, step_i};
  end

  for (genvar lane = 1; lane < Lanes; lane++) begin : gen_lane
    logic [lane*Width-1:0] delay_q;

    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        delay_q <= '0;
      end else if (step_i) begin
        // The newest element enters at the bottom; the cast drops the one that leaves at the top.
        delay_q <= (lane*Width)'({delay_q, data_i[lane*Width +: Width]});
      end
    end

    assign data_o[lane*Width +: Width] = delay_q[(lane-1)*Width +: Width];
  end

endmodule
