// Two-entry register slice for a valid/ready stream (docs/rtl.md, "Streams"): full throughput, and no
// combinational path from any input to any output, so that a block's timing ends at its ports.

`include "qsim_assert.svh"

module stream_register #(
  parameter int unsigned Width = 8
) (
  input  logic             clk_i,
  input  logic             rst_ni,

  input  logic             valid_i,
  output logic             ready_o,
  input  logic [Width-1:0] data_i,

  output logic             valid_o,
  input  logic             ready_i,
  output logic [Width-1:0] data_o
);

  // The spill entry takes the beat that was already on its way when the consumer stopped.
  logic [Width-1:0] head_q, spill_q;
  logic             head_valid_q, spill_valid_q;
  logic             accept, advance;

  assign ready_o = !spill_valid_q;
  assign valid_o = head_valid_q;
  assign data_o  = head_q;

  assign accept  = valid_i && ready_o;
  assign advance = !head_valid_q || ready_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      head_valid_q  <= 1'b0;
      spill_valid_q <= 1'b0;
      head_q        <= '0;
      spill_q       <= '0;
    end else if (advance) begin
      head_valid_q  <= spill_valid_q || accept;
      spill_valid_q <= 1'b0;
      if (spill_valid_q) begin
        head_q <= spill_q;
      end else if (accept) begin
        head_q <= data_i;
      end
    end else if (accept) begin
      spill_valid_q <= 1'b1;
      spill_q       <= data_i;
    end
  end

  ////////////////
  // Assertions //
  ////////////////

  // The promise of this block to its consumer.
  `QSIM_ASSERT(OutputStable, valid_o && !ready_i |=> valid_o && $stable(data_o),
               "an offered beat changed before it was taken")

  // The promise that it relies on.
  `QSIM_ASSERT(InputStable, valid_i && !ready_o |=> valid_i && $stable(data_i),
               "the producer changed a beat before it was taken")

endmodule
