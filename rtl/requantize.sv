// Requantizer: Lanes elements of a wide tensor to a narrow one. docs/numerics.md section 4, docs/rtl.md.
//
//   y = clamp(z + round_shift((x - x_zero) * M + addend, S), qmin, qmax)
//
// A command sets the parameters of the next cmd_beats_i beats; M, S and z belong to a lane, so that
// channels may lie along the lanes. It is taken when every beat of the one before has left.

`include "qsim_assert.svh"

module requantize #(
  parameter int unsigned Lanes = 16
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic                cmd_valid_i,
  output logic                cmd_ready_o,
  input  logic [15:0]         cmd_beats_i,       // 1..MaxBeats
  input  logic [31:0]         cmd_x_zero_i,      // two's complement; |x - x_zero| <= 2^31
  input  logic [Lanes*32-1:0] cmd_multiplier_i,  // M, two's complement, |M| < 2^31
  input  logic [Lanes*6-1:0]  cmd_shift_i,       // S, 0..62
  input  logic [Lanes*32-1:0] cmd_zero_i,        // z, two's complement, |z| <= 2^17
  input  qsim_pkg::rounding_e cmd_rounding_i,    // see round_shift, requantize_lane
  input  logic [31:0]         cmd_qmin_i,        // two's complement
  input  logic [31:0]         cmd_qmax_i,        // two's complement

  input  logic                x_valid_i,
  output logic                x_ready_o,
  input  logic [Lanes*32-1:0] x_i,
  input  logic [Lanes*64-1:0] addend_i,          // two's complement, |addend| <= 2^61

  output logic                y_valid_o,
  input  logic                y_ready_i,
  output logic [Lanes*32-1:0] y_o,
  output logic [Lanes-1:0]    saturated_o        // the clamp changed the lane's value
);

  ////////////////
  // Parameters //
  ////////////////

  logic [15:0]         beats_left_d, beats_left_q;
  logic [31:0]         x_zero_q, qmin_q, qmax_q;
  logic [Lanes*32-1:0] multiplier_q, zero_q;
  logic [Lanes*6-1:0]  shift_q;
  qsim_pkg::rounding_e rounding_q;
  logic [1:0]          valid_q;
  logic                cmd_accept, x_accept, move;

  assign cmd_ready_o = beats_left_q == '0 && valid_q == '0;
  assign cmd_accept  = cmd_valid_i && cmd_ready_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      x_zero_q     <= '0;
      multiplier_q <= '0;
      shift_q      <= '0;
      zero_q       <= '0;
      rounding_q   <= qsim_pkg::RoundHalfUp;
      qmin_q       <= '0;
      qmax_q       <= '0;
    end else if (cmd_accept) begin
      x_zero_q     <= cmd_x_zero_i;
      multiplier_q <= cmd_multiplier_i;
      shift_q      <= cmd_shift_i;
      zero_q       <= cmd_zero_i;
      rounding_q   <= cmd_rounding_i;
      qmin_q       <= cmd_qmin_i;
      qmax_q       <= cmd_qmax_i;
    end
  end

  //////////////
  // Pipeline //
  //////////////

  assign move      = !valid_q[1] || y_ready_i;
  assign x_ready_o = move && beats_left_q != '0;
  assign x_accept  = x_valid_i && x_ready_o;
  assign y_valid_o = valid_q[1];

  always_comb begin
    beats_left_d = beats_left_q;
    if (cmd_accept) begin
      beats_left_d = cmd_beats_i;
    end else if (x_accept) begin
      beats_left_d = beats_left_q - 16'd1;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      beats_left_q <= '0;
      valid_q      <= '0;
    end else begin
      beats_left_q <= beats_left_d;
      if (move) begin
        valid_q <= {valid_q[0], x_accept};
      end
    end
  end

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    requantize_lane u_lane (
      .clk_i,
      .rst_ni,
      .move_i      (move),
      .x_zero_i    (x_zero_q),
      .multiplier_i(multiplier_q[lane*32 +: 32]),
      .shift_i     (shift_q[lane*6 +: 6]),
      .zero_i      (zero_q[lane*32 +: 32]),
      .rounding_i  (rounding_q),
      .qmin_i      (qmin_q),
      .qmax_i      (qmax_q),
      .x_i         (x_i[lane*32 +: 32]),
      .addend_i    (addend_i[lane*64 +: 64]),
      .y_o         (y_o[lane*32 +: 32]),
      .saturated_o (saturated_o[lane])
    );
  end

  ////////////////
  // Assertions //
  ////////////////

  `QSIM_ASSERT_INIT(LanesLegal, Lanes >= 1, "Lanes must be at least 1")

  `QSIM_ASSERT(OutputStable,
               y_valid_o && !y_ready_i |=> y_valid_o && $stable(y_o) && $stable(saturated_o),
               "an offered beat changed before it was taken")

  `QSIM_ASSERT(InputStable,
               x_valid_i && !x_ready_o |=> x_valid_i && $stable(x_i) && $stable(addend_i),
               "the producer changed a beat before it was taken")

  `QSIM_ASSERT(CommandStable,
               cmd_valid_i && !cmd_ready_o |=>
                   cmd_valid_i && $stable(cmd_multiplier_i) && $stable(cmd_shift_i) &&
                   $stable(cmd_zero_i) &&
                   $stable({cmd_qmin_i, cmd_qmax_i, cmd_x_zero_i, cmd_beats_i, cmd_rounding_i}),
               "a command changed before it was taken")

  `QSIM_ASSERT(BeatsLegal, cmd_accept |-> cmd_beats_i != '0, "a command without beats")

  `QSIM_ASSERT(RoundingLegal, cmd_accept |-> cmd_rounding_i <= qsim_pkg::RoundDouble,
               "no such rounding")

  `QSIM_ASSERT(RangeLegal, cmd_accept |-> $signed(cmd_qmin_i) <= $signed(cmd_qmax_i),
               "qmin is above qmax")

  `QSIM_ASSERT(ParametersHeld,
               !cmd_ready_o |=> $stable(multiplier_q) && $stable(shift_q) && $stable(zero_q) &&
                                $stable({qmin_q, qmax_q, x_zero_q, rounding_q}),
               "a parameter changed while a command was in use")

`ifndef SYNTHESIS
  // What the 64 bits of a lane rely on: docs/numerics.md (4.1).
  localparam longint MaxDifference = longint'(1) << 31;
  localparam longint MaxZero       = longint'(1) << qsim_pkg::ZeroBits;
  localparam longint MaxAddend     = longint'(1) << qsim_pkg::AddendBits;

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_contract
    logic [31:0]        multiplier;
    logic [5:0]         shift;
    logic signed [63:0] zero, difference, addend;

    assign multiplier = cmd_multiplier_i[lane*32 +: 32];
    assign shift      = cmd_shift_i[lane*6 +: 6];
    assign zero       = 64'($signed(cmd_zero_i[lane*32 +: 32]));
    assign difference = 64'($signed(x_i[lane*32 +: 32])) - 64'($signed(x_zero_q));
    assign addend     = addend_i[lane*64 +: 64];

    `QSIM_ASSERT(MultiplierLegal, cmd_accept |-> multiplier != 32'h8000_0000,
                 "the magnitude of a multiplier is not below 2^31")

    `QSIM_ASSERT(ShiftLegal, cmd_accept |-> 32'(shift) <= qsim_pkg::MaxShift, "a shift is above 62")

    `QSIM_ASSERT(ZeroLegal, cmd_accept |-> zero >= -MaxZero && zero <= MaxZero,
                 "the magnitude of a zero point is above 2^17")

    `QSIM_ASSERT(DifferenceLegal,
                 x_accept |-> difference >= -MaxDifference && difference <= MaxDifference,
                 "the magnitude of x - x_zero is above 2^31")

    `QSIM_ASSERT(AddendLegal, x_accept |-> addend >= -MaxAddend && addend <= MaxAddend,
                 "the magnitude of an addend is above 2^61")
  end
`endif

endmodule
