// Reciprocal of a row's sum, r / 2^n for 2^FractionBits / d. docs/numerics.md (16.2), docs/rtl.md.
//
//   d' = max(d, 1);  n the least with 2^n >= d';  r = rounding(2^(n + FractionBits) / d')
//
// A restoring divider: 2^n / d' lies in [1, 2), so the first bit of r is 1, and each cycle adds one of
// the FractionBits that follow; what remains decides the rounding. r and n are a requantizer's M and S.

`include "qsim_assert.svh"

module row_reciprocal #(
  parameter int unsigned FractionBits = 15  // 1..29
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,

  input  logic                    d_valid_i,
  output logic                    d_ready_o,
  input  logic [31:0]             d_i,         // two's complement
  input  qsim_pkg::rounding_e     rounding_i,  // any but RoundDouble

  output logic                    r_valid_o,
  input  logic                    r_ready_i,
  output logic [FractionBits+1:0] r_o,
  output logic [5:0]              n_o
);

  logic                    valid_d, valid_q, busy_d, busy_q;
  logic [31:0]             divisor_d, divisor_q, remainder_d, remainder_q;
  logic [FractionBits:0]   quotient_d, quotient_q;
  logic [4:0]              left_d, left_q;  // bits to come
  logic [5:0]              n_d, n_q;
  qsim_pkg::rounding_e     rounding_d, rounding_q;
  logic [31:0]             positive, below;
  logic [5:0]              length;
  logic [32:0]             twice;
  logic                    accept, bit_set, up;

  assign d_ready_o = !busy_q && !valid_q;
  assign accept    = d_valid_i && d_ready_o;
  assign r_valid_o = valid_q;
  assign n_o       = n_q;

  // 2^length >= d' > 2^(length - 1): the bits of d' - 1.
  assign positive = ($signed(d_i) < 32'sd1) ? 32'd1 : d_i;
  assign below    = positive - 32'd1;
  always_comb begin
    length = 6'd0;
    for (int unsigned i = 0; i < 32; i++) begin
      if (below[i]) begin
        length = 6'(i) + 6'd1;
      end
    end
  end

  assign twice   = {remainder_q, 1'b0};
  assign bit_set = twice >= {1'b0, divisor_q};

  always_comb begin
    valid_d     = valid_q && !r_ready_i;
    busy_d      = busy_q;
    divisor_d   = divisor_q;
    remainder_d = remainder_q;
    quotient_d  = quotient_q;
    left_d      = left_q;
    n_d         = n_q;
    rounding_d  = rounding_q;
    if (accept) begin
      busy_d      = 1'b1;
      divisor_d   = positive;
      remainder_d = (32'd1 << length) - positive;
      quotient_d  = {{FractionBits{1'b0}}, 1'b1};
      left_d      = 5'(FractionBits);
      n_d         = length;
      rounding_d  = rounding_i;
    end else if (busy_q) begin
      remainder_d = bit_set ? 32'(twice - {1'b0, divisor_q}) : twice[31:0];
      quotient_d  = {quotient_q[FractionBits-1:0], bit_set};
      left_d      = left_q - 5'd1;
      if (left_q == 5'd1) begin
        busy_d  = 1'b0;
        valid_d = 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q     <= 1'b0;
      busy_q      <= 1'b0;
      divisor_q   <= '0;
      remainder_q <= '0;
      quotient_q  <= '0;
      left_q      <= '0;
      n_q         <= '0;
      rounding_q  <= qsim_pkg::RoundHalfUp;
    end else begin
      valid_q     <= valid_d;
      busy_q      <= busy_d;
      divisor_q   <= divisor_d;
      remainder_q <= remainder_d;
      quotient_q  <= quotient_d;
      left_q      <= left_d;
      n_q         <= n_d;
      rounding_q  <= rounding_d;
    end
  end

  // Of a positive quotient: nothing, or the half and what is above it.
  always_comb begin
    case (rounding_q)
      qsim_pkg::RoundHalfUp, qsim_pkg::RoundHalfAway: up = bit_set;
      qsim_pkg::RoundHalfEven: up = bit_set && (twice != {1'b0, divisor_q} || quotient_q[0]);
      default: up = 1'b0;
    endcase
  end
  assign r_o = {1'b0, quotient_q} + {{(FractionBits + 1){1'b0}}, up};

  ////////////////
  // Assertions //
  ////////////////

  `QSIM_ASSERT_INIT(FractionBitsLegal, FractionBits >= 1 && FractionBits <= 29,
                    "FractionBits must be in 1..29")

  `QSIM_ASSERT(OutputStable, r_valid_o && !r_ready_i |=> r_valid_o && $stable(r_o) && $stable(n_o),
               "an offered beat changed before it was taken")

  `QSIM_ASSERT(InputStable,
               d_valid_i && !d_ready_o |=> d_valid_i && $stable(d_i) && $stable(rounding_i),
               "the producer changed a beat before it was taken")

  `QSIM_ASSERT(RoundingLegal, accept |-> rounding_i <= qsim_pkg::RoundTowardZero,
               "no such rounding")

endmodule
