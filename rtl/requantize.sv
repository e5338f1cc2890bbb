// Requantizer: Lanes elements of a wide tensor to a narrow one. docs/numerics.md section 4, docs/rtl.md.
//
//   y = clamp(z + round_shift((x - x_zero) * M + addend, S), qmin, qmax)
//
// A command sets the parameters of the next cmd_beats_i beats; M, S and z belong to a lane, so that
// channels may lie along the lanes. It is taken when every beat of the one before has left.

module requantize #(
  parameter int unsigned Lanes = 16
) (
  input  logic                clk_i,
  input  logic                rst_ni,

  input  logic                cmd_valid_i,
  output logic                cmd_ready_o,
  input  logic [15:0]         cmd_beats_i,
  input  logic [31:0]         cmd_x_zero_i,      // two's complement; |x - x_zero| <= 2^31
  input  logic [Lanes*32-1:0] cmd_multiplier_i,  // M, two's complement, |M| < 2^31
  input  logic [Lanes*6-1:0]  cmd_shift_i,       // S, 0..62
  input  logic [Lanes*32-1:0] cmd_zero_i,        // z, two's complement, |z| <= 2^16
  input  logic [2:0]          cmd_rounding_i,    // see round_shift; 5: double, see requantize_lane
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
  logic [2:0]          rounding_q;
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
      rounding_q   <= '0;
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

`ifndef SYNTHESIS
  // Illegal parameters stop the elaboration.
  if (Lanes < 1) begin : gen_bad_lanes
    $fatal(1, "requantize: Lanes must be at least 1");
  end

  ////////////////
  // Assertions //
  ////////////////

  OutputStable: assert property (@(posedge clk_i) disable iff (!rst_ni)
      y_valid_o && !y_ready_i |=> y_valid_o && $stable(y_o) && $stable(saturated_o))
      else $error("requantize: an offered beat changed before it was taken");

  InputStable: assert property (@(posedge clk_i) disable iff (!rst_ni)
      x_valid_i && !x_ready_o |=> x_valid_i && $stable(x_i) && $stable(addend_i))
      else $error("requantize: the producer changed a beat before it was taken");

  CommandStable: assert property (@(posedge clk_i) disable iff (!rst_ni)
      cmd_valid_i && !cmd_ready_o |=> cmd_valid_i)
      else $error("requantize: a command was withdrawn before it was taken");

  CommandLegal: assert property (@(posedge clk_i) disable iff (!rst_ni)
      cmd_accept |-> cmd_rounding_i <= 3'd5 && $signed(cmd_qmin_i) <= $signed(cmd_qmax_i))
      else $error("requantize: a command field is out of range");
`endif

endmodule
