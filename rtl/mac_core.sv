// The systolic array itself: Rows x Cols processing elements, the registers that slant the operands
// into the wavefront, and the accumulators. docs/numerics.md section 3, docs/rtl.md.
//
//   step   ModeMultiply: acc = policy(acc + lhs * rhs)
//          ModeShift:    acc = policy(acc + (rhs << (15 - code))), and + 0 for the codes from 16 on
//   start  the step of a tile's first operands: init = policy(init_i)
//
// With every step a lhs element moves one column to the right and a rhs element one row down. Row r
// and column c see their operands r and c steps later than row and column 0. So does a tile begin
// there: r + c steps after its start an element hands its sum over to done and goes on from init.
// The rows of done are read while the next tile is being computed.
//
// The state is in arrays that one process updates, with masks instead of conditions in its loops over
// elements: a simulator makes vector instructions of such loops, and a generate of elements compiles
// for minutes. Element (row, col) is number row * Cols + col. docs/rtl.md, "Array sizes".

`include "qsim_assert.svh"

module mac_core #(
  parameter int unsigned Rows     = 16,
  parameter int unsigned Cols     = 16,
  parameter int unsigned LhsWidth = 8,
  parameter int unsigned RhsWidth = 8
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,

  input  logic                         step_i,
  input  logic                         start_i,     // this step is the first of a tile
  input  logic [15:0]                  wave_i,      // steps since the last start: in it, 0
  input  qsim_pkg::operand_mode_e      mode_i,
  input  logic [31:0]                  limit_i,     // see acc_policy.svh
  input  qsim_pkg::acc_policy_e        policy_i,

  // lhs is int8 or uint8 sign- or zero-extended by one bit, or a code. Lanes that are not used carry
  // what makes every sum 0.
  input  logic [Rows*(LhsWidth+1)-1:0] lhs_i,
  input  logic [Cols*RhsWidth-1:0]     rhs_i,
  input  logic [Cols*32-1:0]           init_i,

  input  logic [15:0]                  read_row_i,  // 0..Rows-1
  output logic [Cols*32-1:0]           done_o,      // that row of the tile before, as of the last edge
  // A sum stored by the last edge left the accumulator: one of the tile that started last, or of
  // the one before.
  output logic                         overflow_o,
  output logic                         done_overflow_o
);

  localparam int unsigned Elements = Rows * Cols;

  // |lhs * rhs| <= 2^LhsWidth * 2^(RhsWidth-1), |rhs << 15| <= 2^(RhsWidth+14).
  localparam int unsigned ProductWidth = 24;
  `QSIM_ASSERT_INIT(ProductFits,
      LhsWidth + RhsWidth <= ProductWidth && RhsWidth + 15 <= ProductWidth,
      "LhsWidth + RhsWidth must be at most 24 and RhsWidth at most 9: a product has 24 bits")

  `include "acc_policy.svh"

  // Operands are kept sign-extended to the width of a product; synthesis merges the copies of the
  // sign. Of row r the delays r * Rows + 0 .. r - 1 are in use; likewise for columns.
  logic signed [31:0] lhs_delay_q [Rows * Rows];
  logic signed [31:0] rhs_delay_q [Cols * Cols];
  logic signed [31:0] lhs_q       [Elements];  // what an element multiplied in the last step
  logic signed [31:0] rhs_q       [Elements];
  logic        [31:0] acc_q       [Elements];
  logic        [31:0] init_q      [Elements];  // of a column, the same for every row
  logic        [31:0] done_q      [Elements];

  // Within one edge; no register in synthesis, for nothing reads them later.
  logic signed [31:0] lhs_delay_d [Rows * Rows];
  logic signed [31:0] rhs_delay_d [Cols * Cols];
  logic signed [31:0] lhs_d       [Elements];
  logic signed [31:0] rhs_d       [Elements];
  logic signed [31:0] product     [Elements];
  logic        [31:0] excess      [Elements];
  logic        [31:0] init        [Cols];
  logic [31:0] wrap, saturate, wave;
  logic        init_overflow, overflow, done_overflow, two_tiles;

  assign wrap      = {32{policy_i == qsim_pkg::PolicyWrap}};
  assign saturate  = {32{policy_i == qsim_pkg::PolicySaturate}};
  assign wave      = 32'(wave_i);
  assign two_tiles = wave <= Rows + Cols - 2;

  task automatic move_operands();
    int unsigned i;
    for (i = 1; i < Elements; i++) lhs_d[i] = lhs_q[i-1];
    for (i = Cols; i < Elements; i++) rhs_d[i] = rhs_q[i-Cols];
    lhs_d[0] = 32'($signed(lhs_i[0 +: LhsWidth+1]));
    rhs_d[0] = 32'($signed(rhs_i[0 +: RhsWidth]));
    for (i = 1; i < Rows; i++) lhs_d[i*Cols] = lhs_delay_q[i*Rows+i-1];
    for (i = 1; i < Cols; i++) rhs_d[i] = rhs_delay_q[i*Cols+i-1];
    for (i = 0; i < Elements; i++) lhs_q[i] = lhs_d[i];
    for (i = 0; i < Elements; i++) rhs_q[i] = rhs_d[i];

    for (i = 1; i < Rows * Rows; i++) lhs_delay_d[i] = lhs_delay_q[i-1];
    for (i = 1; i < Cols * Cols; i++) rhs_delay_d[i] = rhs_delay_q[i-1];
    for (i = 1; i < Rows; i++) begin
      lhs_delay_d[i*Rows] = 32'($signed(lhs_i[i*(LhsWidth+1) +: LhsWidth+1]));
    end
    for (i = 1; i < Cols; i++) begin
      rhs_delay_d[i*Cols] = 32'($signed(rhs_i[i*RhsWidth +: RhsWidth]));
    end
    for (i = 1; i < Rows * Rows; i++) lhs_delay_q[i] = lhs_delay_d[i];
    for (i = 1; i < Cols * Cols; i++) rhs_delay_q[i] = rhs_delay_d[i];
  endtask

  task automatic multiply();
    int unsigned i;
    if (mode_i == qsim_pkg::ModeMultiply) begin
      for (i = 0; i < Elements; i++) product[i] = lhs_d[i] * rhs_d[i];
    end else begin
      for (i = 0; i < Elements; i++) begin
        product[i] = (rhs_d[i] << ~lhs_d[i][3:0]) & {32{lhs_d[i][31:4] == '0}};
      end
    end
  endtask

  // Where the wavefront of a tile's first operands is.
  task automatic turn();
    int unsigned i;
    logic [31:0] here;
    for (i = 0; i < Elements; i++) begin
      here      = {32{i / Cols + i % Cols == wave}};
      done_q[i] = (done_q[i] & ~here) | (acc_q[i] & here);
      acc_q[i]  = (acc_q[i] & ~here) | (init_q[i] & here);
    end
  endtask

  // The sum has 33 bits: its sign is bit 31 unless that bit's addition overflowed.
  task automatic accumulate();
    int unsigned i;
    logic [31:0] sum, carry, sign, seen;
    seen = '0;
    for (i = 0; i < Elements; i++) begin
      sum       = acc_q[i] + product[i];
      carry     = (sum ^ acc_q[i]) & (sum ^ product[i]);
      sign      = $signed(sum ^ carry) >>> 31;
      excess[i] = acc_excess(sum, sign, limit_i);
      seen      = seen | excess[i];
      acc_q[i]  = acc_result(sum, sign, {32{excess[i] != '0}}, limit_i, wrap, saturate);
    end
    overflow = init_overflow || seen != '0;
  endtask

  // While two tiles are in the array, whose sum it was.
  task automatic tell_apart();
    int unsigned i;
    logic [31:0] begun, seen, done_seen;
    seen      = '0;
    done_seen = '0;
    for (i = 0; i < Elements; i++) begin
      begun     = {32{i / Cols + i % Cols <= wave}};
      seen      = seen | (excess[i] & begun);
      done_seen = done_seen | (excess[i] & ~begun);
    end
    overflow      = init_overflow || seen != '0;
    done_overflow = done_seen != '0;
  endtask

  task automatic take_init();
    int unsigned i;
    logic [31:0] sum, sign, outside, seen;
    seen = '0;
    for (i = 0; i < Cols; i++) begin
      sum     = init_i[i*32 +: 32];
      sign    = {32{sum[31]}};
      outside = acc_excess(sum, sign, limit_i);
      seen    = seen | outside;
      init[i] = acc_result(sum, sign, {32{outside != '0}}, limit_i, wrap, saturate);
    end
    for (i = 0; i < Elements; i++) init_q[i] = init[i%Cols];
    init_overflow = seen != '0;
  endtask

  task automatic clear();
    int unsigned i;
    for (i = 0; i < Rows * Rows; i++) lhs_delay_q[i] = '0;
    for (i = 0; i < Cols * Cols; i++) rhs_delay_q[i] = '0;
    for (i = 0; i < Elements; i++) lhs_q[i] = '0;
    for (i = 0; i < Elements; i++) rhs_q[i] = '0;
    for (i = 0; i < Elements; i++) acc_q[i] = '0;
    for (i = 0; i < Elements; i++) init_q[i] = '0;
    for (i = 0; i < Elements; i++) done_q[i] = '0;
  endtask

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      clear();
      done_o          <= '0;
      overflow_o      <= 1'b0;
      done_overflow_o <= 1'b0;
    end else begin
      init_overflow = 1'b0;
      overflow      = 1'b0;
      done_overflow = 1'b0;
      if (start_i) take_init();
      if (step_i) begin
        move_operands();
        multiply();
        if (two_tiles) turn();
        accumulate();
        if (two_tiles) tell_apart();
      end

      // Other processes read registers, never the arrays.
      for (int unsigned col = 0; col < Cols; col++) begin
        done_o[col*32 +: 32] <= done_q[32'(read_row_i)*Cols+col];
      end
      overflow_o      <= overflow;
      done_overflow_o <= done_overflow;
    end
  end

  ////////////////
  // Assertions //
  ////////////////

  `QSIM_ASSERT(StartIsFirst, start_i |-> step_i && wave_i == '0,
               "a tile starts with its first step")

  `QSIM_ASSERT(ReadRowLegal, 32'(read_row_i) < Rows, "no such row")

endmodule
