// One lane of the requantizer: two pipeline stages that move together. docs/numerics.md section 4.
//
//   stage 0   product = (x - x_zero) * M + addend
//   stage 1   y = clamp(z + round_shift(product, S), qmin, qmax)
//
// RoundDouble, TFLite's double rounding (section 4.6): half_up, and for S > 31 a first rounding, to
// S - 31 bits, that is one more constant in stage 0: +2^30, or -2^30 where x < x_zero.

module requantize_lane (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        move_i,

  // Stable while a value is inside.
  input  logic [31:0] x_zero_i,
  input  logic [31:0] multiplier_i,
  input  logic [5:0]  shift_i,
  input  logic [31:0] zero_i,
  input  qsim_pkg::rounding_e rounding_i,
  input  logic [31:0] qmin_i,
  input  logic [31:0] qmax_i,

  input  logic [31:0] x_i,
  input  logic [63:0] addend_i,
  output logic [31:0] y_o,
  output logic        saturated_o
);

  // |x - x_zero| <= 2^31 and |M| < 2^31, so |product| <= 2^62 - 2^31; with |addend| <= 2^61, a first
  // rounding of 2^30 and a rounding of at most 2^62 - 1, on negative products only, the sum stays
  // inside 64 bits.
  logic signed [63:0] x, x_zero, difference, multiplier, first_rounding, product_d, product_q;
  logic signed [63:0] rounded, unclamped, qmin, qmax;
  logic [31:0]        y_d, y_q;
  logic               below, above, saturated_q;

  assign x          = {{32{x_i[31]}}, x_i};
  assign x_zero     = {{32{x_zero_i[31]}}, x_zero_i};
  assign multiplier = {{32{multiplier_i[31]}}, multiplier_i};
  assign difference = x - x_zero;
  assign product_d  = difference * multiplier + $signed(addend_i) + first_rounding;

  always_comb begin
    first_rounding = 64'sd0;
    if (rounding_i == qsim_pkg::RoundDouble && shift_i > 6'd31) begin
      first_rounding = difference < 64'sd0 ? -64'sd1073741824 : 64'sd1073741824;
    end
  end

  round_shift #(
    .Width(64)
  ) u_round_shift (
    .value_i (product_q),
    .shift_i,
    .rounding_i(rounding_i == qsim_pkg::RoundDouble ? qsim_pkg::RoundHalfUp : rounding_i),
    .result_o(rounded)
  );

  assign unclamped = rounded + {{32{zero_i[31]}}, zero_i};
  assign qmin      = {{32{qmin_i[31]}}, qmin_i};
  assign qmax      = {{32{qmax_i[31]}}, qmax_i};
  assign below     = unclamped < qmin;
  assign above     = unclamped > qmax;
  assign y_d       = below ? qmin_i : above ? qmax_i : unclamped[31:0];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      product_q   <= '0;
      y_q         <= '0;
      saturated_q <= 1'b0;
    end else if (move_i) begin
      product_q   <= product_d;
      y_q         <= y_d;
      saturated_q <= below || above;
    end
  end

  assign y_o         = y_q;
  assign saturated_o = saturated_q;

endmodule
