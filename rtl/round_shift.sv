// Rounding right shift, combinational: value_i / 2^shift_i rounded to an integer. The only place in
// the RTL where a value loses its low bits. docs/numerics.md section 2.
//
//   rounding_i       -1.5  -0.5   0.5   1.5
//   RoundHalfUp        -1     0     1     2     floor(x + 1/2)
//   RoundHalfAway      -2    -1     1     2     sign(x) * floor(|x| + 1/2)
//   RoundHalfEven      -2     0     0     2     ties to the even neighbour
//   RoundFloor         -2    -1     0     1
//   RoundTowardZero    -1     0     0     1
//
// shift_i is 0..62; a shift of 0 returns value_i. Combinational: requantize asserts that a command has
// such a shift and one of these codes, and keeps them.
//
// The value is first shifted to one fractional bit, keeping in `sticky` whether anything below it was
// set; then the rounding constant, counted in that half of an output step, is added:
// floor((2x + constant) / 2).

module round_shift #(
  parameter int unsigned Width = 64
) (
  input  logic [Width-1:0]    value_i,
  input  logic [5:0]          shift_i,
  input  qsim_pkg::rounding_e rounding_i,
  output logic [Width-1:0]    result_o
);

  logic [5:0]       shift_to_half;
  logic [Width-1:0] lost_mask;
  logic [Width-1:0] halves;    // value / 2^(shift-1), floored: one fractional bit
  logic [Width-1:0] sum;
  logic             negative, half, sticky, odd;
  logic [1:0]       constant;  // in halves of an output step

  assign shift_to_half = shift_i - 6'd1;
  assign lost_mask     = ~({Width{1'b1}} << shift_to_half);
  assign halves        = $signed(value_i) >>> shift_to_half;

  assign negative = value_i[Width-1];
  assign half     = halves[0];
  assign odd      = halves[1];
  assign sticky   = |(value_i & lost_mask);

  always_comb begin
    unique case (rounding_i)
      qsim_pkg::RoundHalfUp:     constant = 2'd1;
      qsim_pkg::RoundHalfAway:   constant = (negative && !sticky) ? 2'd0 : 2'd1;
      qsim_pkg::RoundHalfEven:   constant = (half && !sticky && !odd) ? 2'd0 : 2'd1;
      qsim_pkg::RoundFloor:      constant = 2'd0;
      qsim_pkg::RoundTowardZero: constant = (negative && (half || sticky)) ? 2'd2 : 2'd0;
      default:                   constant = 2'd0;
    endcase
`ifdef QSIM_FAULT_REQUANT_ROUND
    // The deliberate defect of cmake -DQSIM_RTL_FAULT=requant_round: off by one.
    constant = constant + 2'd1;
`endif
  end

  assign sum      = halves + {{(Width - 2){1'b0}}, constant};
  assign result_o = shift_i == 6'd0 ? value_i : {sum[Width-1], sum[Width-1:1]};

endmodule
