// Residual add with one rounding. docs/numerics.md section 8, docs/rtl.md.
//
//   y = clamp(z + round_shift((a - a_zero) * M_a + (b - b_zero) * M_b, S), qmin, qmax)
//
// The second product is made here and enters the requantizer by its wide addend port. A beat is a row
// of a and a row of b, from two streams. Commands as in requantize.

`include "qsim_assert.svh"

module residual_add #(
  parameter int unsigned Lanes  = 16,
  parameter int unsigned BWidth = qsim_pkg::ResidualWidth  // of b, two's complement
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,

  input  logic                    cmd_valid_i,
  output logic                    cmd_ready_o,
  input  logic [15:0]             cmd_beats_i,         // 1..MaxBeats
  input  logic [31:0]             cmd_a_zero_i,
  input  logic [BWidth-1:0]       cmd_b_zero_i,        // |b - b_zero| < 2^BWidth
  input  logic [Lanes*32-1:0]     cmd_a_multiplier_i,  // M_a, two's complement, |M_a| < 2^31
  input  logic [Lanes*32-1:0]     cmd_b_multiplier_i,  // M_b, two's complement, |M_b| < 2^31
  input  logic [Lanes*6-1:0]      cmd_shift_i,         // S, 0..62
  input  logic [Lanes*32-1:0]     cmd_zero_i,          // z, two's complement, |z| <= 2^17
  input  qsim_pkg::rounding_e     cmd_rounding_i,      // see round_shift, requantize_lane
  input  logic [31:0]             cmd_qmin_i,
  input  logic [31:0]             cmd_qmax_i,

  input  logic                    a_valid_i,
  output logic                    a_ready_o,
  input  logic [Lanes*32-1:0]     a_i,

  input  logic                    b_valid_i,
  output logic                    b_ready_o,
  input  logic [Lanes*BWidth-1:0] b_i,

  output logic                    y_valid_o,
  input  logic                    y_ready_i,
  output logic [Lanes*32-1:0]     y_o,
  output logic [Lanes-1:0]        saturated_o
);

  logic [15:0]             beats_left_d, beats_left_q;
  logic [BWidth-1:0]       b_zero_q;
  logic [Lanes*32-1:0]     b_multiplier_q;
  logic                    cmd_accept, join_accept, move;
  logic                    idle, requantize_ready;

  // a and its addend, on their way to the requantizer.
  logic                    x_valid_q, x_ready;
  logic [Lanes*32-1:0]     x_q;
  logic [Lanes*64-1:0]     addend_d, addend_q;

  assign idle        = beats_left_q == '0 && !x_valid_q;
  assign cmd_ready_o = idle && requantize_ready;
  assign cmd_accept  = cmd_valid_i && cmd_ready_o;

  assign move        = !x_valid_q || x_ready;
  assign join_accept = move && beats_left_q != '0 && a_valid_i && b_valid_i;
  assign a_ready_o   = join_accept;
  assign b_ready_o   = join_accept;

  // |b - b_zero| < 2^17 and |M_b| < 2^31, so |addend| < 2^48.
  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic signed [63:0] b, b_zero, multiplier, product;

    assign b          = {{(64 - BWidth){b_i[lane*BWidth + BWidth - 1]}}, b_i[lane*BWidth +: BWidth]};
    assign b_zero     = {{(64 - BWidth){b_zero_q[BWidth-1]}}, b_zero_q};
    assign multiplier = {{32{b_multiplier_q[lane*32 + 31]}}, b_multiplier_q[lane*32 +: 32]};
    assign product    = (b - b_zero) * multiplier;
    assign addend_d[lane*64 +: 64] = product;
  end

  always_comb begin
    beats_left_d = beats_left_q;
    if (cmd_accept) begin
      beats_left_d = cmd_beats_i;
    end else if (join_accept) begin
      beats_left_d = beats_left_q - 16'd1;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      beats_left_q   <= '0;
      b_zero_q       <= '0;
      b_multiplier_q <= '0;
    end else begin
      beats_left_q <= beats_left_d;
      if (cmd_accept) begin
        b_zero_q       <= cmd_b_zero_i;
        b_multiplier_q <= cmd_b_multiplier_i;
      end
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      x_valid_q <= 1'b0;
      x_q       <= '0;
      addend_q  <= '0;
    end else if (move) begin
      x_valid_q <= join_accept;
      if (join_accept) begin
        x_q      <= a_i;
        addend_q <= addend_d;
      end
    end
  end

  requantize #(
    .Lanes(Lanes)
  ) u_requantize (
    .clk_i,
    .rst_ni,
    .cmd_valid_i     (cmd_valid_i && idle),
    .cmd_ready_o     (requantize_ready),
    .cmd_beats_i,
    .cmd_x_zero_i    (cmd_a_zero_i),
    .cmd_multiplier_i(cmd_a_multiplier_i),
    .cmd_shift_i,
    .cmd_zero_i,
    .cmd_rounding_i,
    .cmd_qmin_i,
    .cmd_qmax_i,
    .x_valid_i       (x_valid_q),
    .x_ready_o       (x_ready),
    .x_i             (x_q),
    .addend_i        (addend_q),
    .y_valid_o,
    .y_ready_i,
    .y_o,
    .saturated_o
  );

  ////////////////
  // Assertions //
  ////////////////

  // The output stream, and the fields that go on to the requantizer, are asserted there.

  `QSIM_ASSERT_INIT(BWidthLegal, BWidth >= 2 && BWidth + 31 <= qsim_pkg::AddendBits,
                    "BWidth must be 2 to 30 so that the addend stays below 2^61")

  `QSIM_ASSERT(CommandStable,
               cmd_valid_i && !cmd_ready_o |=>
                   cmd_valid_i && $stable(cmd_a_multiplier_i) && $stable(cmd_b_multiplier_i) &&
                   $stable(cmd_shift_i) && $stable(cmd_zero_i) &&
                   $stable({cmd_qmin_i, cmd_qmax_i, cmd_a_zero_i, cmd_b_zero_i, cmd_beats_i,
                            cmd_rounding_i}),
               "a command changed before it was taken")

  `QSIM_ASSERT(ParametersHeld, beats_left_q != '0 |=> $stable(b_zero_q) && $stable(b_multiplier_q),
               "a parameter changed while a command was in use")

  `QSIM_ASSERT(InputAStable, a_valid_i && !a_ready_o |=> a_valid_i && $stable(a_i),
               "the producer changed a beat of a before it was taken")

  `QSIM_ASSERT(InputBStable, b_valid_i && !b_ready_o |=> b_valid_i && $stable(b_i),
               "the producer changed a beat of b before it was taken")

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_contract
    `QSIM_ASSERT(MultiplierLegal, cmd_accept |-> cmd_b_multiplier_i[lane*32 +: 32] != 32'h8000_0000,
                 "the magnitude of a multiplier of b is not below 2^31")
  end

endmodule
