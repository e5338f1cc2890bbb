// Output-stationary systolic MAC array, Rows x Cols. docs/numerics.md section 3, docs/rtl.md.
//
//   acc[m][n] = bias[n] + sum_k lhs[m][k] * rhs[k][n]
//               - rhs_zero[n] * sum_k lhs[m][k] - lhs_zero * sum_k rhs[k][n]
//               + K * lhs_zero * rhs_zero[n]
//
// One command is one pass: up to Rows x Cols outputs, cmd_k_i steps of k. A tile is one pass or more;
// its partial sums stay where they are.
//
//   stream  beats of a pass             one beat
//   cmd     1                           the fields below
//   init    1 if cmd_first_i, else 0    the bias, every row's first sum
//   lhs     cmd_k_i                     lhs[0..Rows-1][k]
//   rhs     cmd_k_i                     rhs[k][0..Cols-1]
//   out     cmd_rows_i if cmd_last_i    acc[m][0..Cols-1], m = 0, 1, ...
//
// Lanes beyond cmd_rows_i and cmd_cols_i may carry anything; they never flag an overflow.
//
// Tiles follow each other without a gap. The first step of a tile sends the sums of the one before
// to their way out (mac_core), where they are corrected and leave while the new tile is fed; only
// two tiles are inside at a time. When nothing follows, the array steps by itself until it is empty.

`include "qsim_assert.svh"

module mac_array #(
  parameter int unsigned Rows     = 16,
  parameter int unsigned Cols     = 16,
  parameter int unsigned LhsWidth = 8,  // 5..8: a log2 code needs 5 bits
  parameter int unsigned RhsWidth = 8   // 2..8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,

  // The passes of a tile share rows, cols and all that follows. A tile of another mode, width or
  // policy than the tile before waits until the array is empty.
  input  logic                     cmd_valid_i,
  output logic                     cmd_ready_o,
  input  logic                     cmd_first_i,      // first pass of a tile
  input  logic                     cmd_last_i,       // last pass: apply the corrections
  input  logic [15:0]              cmd_k_i,          // a tile's passes sum up to MaxDepth at most
  input  logic [15:0]              cmd_rows_i,       // 1..Rows
  input  logic [15:0]              cmd_cols_i,       // 1..Cols
  input  qsim_pkg::operand_mode_e  cmd_mode_i,
  input  logic                     cmd_lhs_signed_i, // lhs is two's complement; 0 in shift mode
  input  logic [LhsWidth:0]        cmd_lhs_zero_i,   // two's complement; 0 in shift mode
  input  logic [Cols*RhsWidth-1:0] cmd_rhs_zero_i,   // one per column
  input  logic [5:0]               cmd_acc_bits_i,   // W, MinAccBits..MaxAccBits
  input  qsim_pkg::acc_policy_e    cmd_acc_policy_i, // see acc_policy

  input  logic                     init_valid_i,
  output logic                     init_ready_o,
  input  logic [Cols*32-1:0]       init_i,

  input  logic                     lhs_valid_i,
  output logic                     lhs_ready_o,
  input  logic [Rows*LhsWidth-1:0] lhs_i,

  input  logic                     rhs_valid_i,
  output logic                     rhs_ready_o,
  input  logic [Cols*RhsWidth-1:0] rhs_i,

  output logic                     out_valid_o,
  input  logic                     out_ready_i,
  output logic [Cols*32-1:0]       out_o,

  // Some sum of the tile whose rows are offered left the W bits, whatever the policy. Complete when
  // the last row is offered.
  output logic                     overflow_o,
  output logic                     idle_o  // nothing is inside and nothing is missing
);

  `QSIM_ASSERT_INIT(SizeLegal, Rows >= 1 && Cols >= 1 && Rows + Cols <= 65536,
                    "Rows and Cols must be at least 1 and at most 65536 together")
  `QSIM_ASSERT_INIT(LhsWidthLegal, LhsWidth >= 5 && LhsWidth <= 8, "LhsWidth must be 5 to 8")
  `QSIM_ASSERT_INIT(RhsWidthLegal, RhsWidth >= 2 && RhsWidth <= 8, "RhsWidth must be 2 to 8")

  // The steps that the wavefront of a tile's first operands takes through the array.
  localparam logic [15:0] WaveSteps = 16'(Rows + Cols - 1);
  localparam int unsigned LhsExtWidth = LhsWidth + 1;
  localparam int unsigned RowSumWidth = 32;             // see mac_operands
  localparam int unsigned ColSumWidth = RhsWidth + 16;  // see mac_operands

  ///////////////////////////
  // Command and its state //
  ///////////////////////////

  // The pass that is fed, or was fed last.
  logic                     cmd_accept, last_q, lhs_signed_q;
  qsim_pkg::operand_mode_e  mode_q;
  logic [15:0]              k_left_q, k_total_q, rows_q;
  logic [LhsWidth:0]        lhs_zero_q;
  logic [Cols*RhsWidth-1:0] rhs_zero_q;
  logic [31:0]              limit_d, limit_q;
  qsim_pkg::acc_policy_e    policy_q;
  logic [Rows-1:0]          row_enable_d, row_enable_q;
  logic [Cols-1:0]          col_enable_d, col_enable_q;
  logic                     open_q;   // it belongs to a tile that has not been handed over
  logic                     start_q;  // the tile's first step is still to come

  // The tile before it, from the hand-over until its last row has been taken: owed until a step sends
  // it away, then leaving.
  logic                     hand_over, owed_q, leaving_q;
  logic [15:0]              done_k_q, done_rows_q;
  logic [LhsWidth:0]        done_lhs_zero_q;
  logic [Cols*RhsWidth-1:0] done_rhs_zero_q;
  logic [Cols-1:0]          done_col_enable_q;

  assign limit_d = 32'hFFFF_FFFF << (cmd_acc_bits_i - 6'd1);

  for (genvar row = 0; row < Rows; row++) begin : gen_row_enable
    assign row_enable_d[row] = 16'(row) < cmd_rows_i;
  end
  for (genvar col = 0; col < Cols; col++) begin : gen_col_enable
    assign col_enable_d[col] = 16'(col) < cmd_cols_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      last_q       <= 1'b1;  // no tile is open
      mode_q       <= qsim_pkg::ModeMultiply;
      lhs_signed_q <= 1'b0;
      k_total_q    <= '0;
      rows_q       <= 16'd1;
      lhs_zero_q   <= '0;
      rhs_zero_q   <= '0;
      limit_q      <= 32'h8000_0000;
      policy_q     <= qsim_pkg::PolicyError;
      row_enable_q <= '0;
      col_enable_q <= '0;
    end else if (cmd_accept) begin
      last_q       <= cmd_last_i;
      mode_q       <= cmd_mode_i;
      lhs_signed_q <= cmd_lhs_signed_i;
      k_total_q    <= cmd_first_i ? cmd_k_i : k_total_q + cmd_k_i;
      rows_q       <= cmd_rows_i;
      lhs_zero_q   <= cmd_lhs_zero_i;
      rhs_zero_q   <= cmd_rhs_zero_i;
      limit_q      <= limit_d;
      policy_q     <= cmd_acc_policy_i;
      row_enable_q <= row_enable_d;
      col_enable_q <= col_enable_d;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      done_k_q          <= '0;
      done_rows_q       <= 16'd1;
      done_lhs_zero_q   <= '0;
      done_rhs_zero_q   <= '0;
      done_col_enable_q <= '0;
    end else if (hand_over) begin
      done_k_q          <= k_total_q;
      done_rows_q       <= rows_q;
      done_lhs_zero_q   <= lhs_zero_q;
      done_rhs_zero_q   <= rhs_zero_q;
      done_col_enable_q <= col_enable_q;
    end
  end

  ////////////////////////
  // Registered streams //
  ////////////////////////

  logic                     init_valid, init_ready, lhs_valid, lhs_ready, rhs_valid, rhs_ready;
  logic                     out_valid, out_ready;
  logic [Cols*32-1:0]       init_data, out_data;
  logic [Rows*LhsWidth-1:0] lhs_data;
  logic [Cols*RhsWidth-1:0] rhs_data;

  stream_register #(
    .Width(Cols * 32)
  ) u_init_register (
    .clk_i,
    .rst_ni,
    .valid_i(init_valid_i),
    .ready_o(init_ready_o),
    .data_i (init_i),
    .valid_o(init_valid),
    .ready_i(init_ready),
    .data_o (init_data)
  );

  stream_register #(
    .Width(Rows * LhsWidth)
  ) u_lhs_register (
    .clk_i,
    .rst_ni,
    .valid_i(lhs_valid_i),
    .ready_o(lhs_ready_o),
    .data_i (lhs_i),
    .valid_o(lhs_valid),
    .ready_i(lhs_ready),
    .data_o (lhs_data)
  );

  stream_register #(
    .Width(Cols * RhsWidth)
  ) u_rhs_register (
    .clk_i,
    .rst_ni,
    .valid_i(rhs_valid_i),
    .ready_o(rhs_ready_o),
    .data_i (rhs_i),
    .valid_o(rhs_valid),
    .ready_i(rhs_ready),
    .data_o (rhs_data)
  );

  stream_register #(
    .Width(Cols * 32)
  ) u_out_register (
    .clk_i,
    .rst_ni,
    .valid_i(out_valid),
    .ready_o(out_ready),
    .data_i (out_data),
    .valid_o(out_valid_o),
    .ready_i(out_ready_i),
    .data_o (out_o)
  );

  /////////////
  // Control //
  /////////////

  logic        wave_through, start, flush, turn, feed, fed, step, leave, agrees, read, left;
  logic        row_valid_q, correct_ready, correct_busy;
  logic [15:0] wave, wave_d, wave_q, row_d, row_q, read_row;

  assign wave_through = wave_q == WaveSteps;

  // A tile starts with its bias and its first operands, if it has any. An array without a next tile
  // starts nothing, to be rid of the last one.
  assign start = start_q && init_valid && (k_left_q == '0 || (lhs_valid && rhs_valid)) &&
                 wave_through && !leaving_q;
  assign flush = open_q && last_q && k_left_q == '0 && !start_q && wave_through && !leaving_q &&
                 !cmd_accept;
  assign turn  = start || flush;
  assign leave = flush || (start && owed_q);
  assign feed  = k_left_q != '0 && (start_q ? start : lhs_valid && rhs_valid);
  assign step  = turn || feed || !wave_through;

  assign init_ready = start;
  assign lhs_ready  = feed;
  assign rhs_ready  = feed;

  // The next pass is taken with the last beat of this one, so that its own first beat is the next.
  assign fed         = k_left_q == '0 ? !start_q || start : k_left_q == 16'd1 && feed;
  assign agrees      = cmd_mode_i == mode_q && limit_d == limit_q && cmd_acc_policy_i == policy_q;
  assign cmd_ready_o = fed && (!cmd_first_i || (!owed_q && !leaving_q && (agrees || idle_o)));
  assign cmd_accept  = cmd_valid_i && cmd_ready_o;
  assign hand_over   = flush || (cmd_accept && cmd_first_i && open_q);
  assign idle_o      = !open_q && !owed_q && !leaving_q && wave_through;

  // Row r of the tile that leaves is complete when the wave has passed the last column of row r.
  assign wave     = turn ? '0 : wave_q;
  assign wave_d   = wave == WaveSteps ? WaveSteps : wave + 16'd1;
  assign read     = row_valid_q && correct_ready;
  assign row_d    = leave ? '0 : row_q + 16'(read);
  assign read_row = row_d == 16'(Rows) ? '0 : row_d;
  assign left     = row_q == done_rows_q && !correct_busy && !out_valid_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      k_left_q    <= '0;
      open_q      <= 1'b0;
      start_q     <= 1'b0;
      owed_q      <= 1'b0;
      leaving_q   <= 1'b0;
      wave_q      <= WaveSteps;
      row_q       <= '0;
      row_valid_q <= 1'b0;
    end else begin
      k_left_q    <= cmd_accept ? cmd_k_i : k_left_q - 16'(feed);
      open_q      <= cmd_accept || (open_q && !hand_over);
      start_q     <= cmd_accept ? cmd_first_i : start_q && !start;
      owed_q      <= (owed_q || hand_over) && !leave;
      leaving_q   <= leave || (leaving_q && !left);
      wave_q      <= wave_d;
      row_q       <= row_d;
      row_valid_q <= (leave || leaving_q) && row_d != done_rows_q && wave_d >= row_d + 16'(Cols);
    end
  end

  //////////////
  // Operands //
  //////////////

  logic [Rows*LhsExtWidth-1:0] lhs_fed;
  logic [Cols*RhsWidth-1:0]    rhs_fed;
  logic [Rows*RowSumWidth-1:0] row_sums;
  logic [Cols*ColSumWidth-1:0] col_sums;
  logic [RowSumWidth-1:0]      row_sum;

  mac_operands #(
    .Rows       (Rows),
    .Cols       (Cols),
    .LhsWidth   (LhsWidth),
    .RhsWidth   (RhsWidth),
    .RowSumWidth(RowSumWidth),
    .ColSumWidth(ColSumWidth)
  ) u_operands (
    .clk_i,
    .rst_ni,
    .feed_i      (feed),
    .hand_over_i (hand_over),
    .mode_i      (mode_q),
    .lhs_signed_i(lhs_signed_q),
    .row_enable_i(row_enable_q),
    .col_enable_i(col_enable_q),
    .lhs_i       (lhs_data),
    .rhs_i       (rhs_data),
    .lhs_o       (lhs_fed),
    .rhs_o       (rhs_fed),
    .row_sums_o  (row_sums),
    .col_sums_o  (col_sums)
  );

  ///////////
  // Array //
  ///////////

  logic [Cols*32-1:0] init_used, done_row;
  logic               core_overflow, core_done_overflow;

  for (genvar col = 0; col < Cols; col++) begin : gen_init
    assign init_used[col*32 +: 32] = init_data[col*32 +: 32] & {32{start && col_enable_q[col]}};
  end

  mac_core #(
    .Rows    (Rows),
    .Cols    (Cols),
    .LhsWidth(LhsWidth),
    .RhsWidth(RhsWidth)
  ) u_core (
    .clk_i,
    .rst_ni,
    .step_i         (step),
    .start_i        (turn),
    .wave_i         (wave),
    .mode_i         (mode_q),
    .limit_i        (limit_q),
    .policy_i       (policy_q),
    .lhs_i          (lhs_fed),
    .rhs_i          (rhs_fed),
    .init_i         (init_used),
    .read_row_i     (read_row),
    .done_o         (done_row),
    .overflow_o     (core_overflow),
    .done_overflow_o(core_done_overflow)
  );

  /////////////////
  // Corrections //
  /////////////////

  logic correct_overflow;

  always_comb begin
    row_sum = '0;
    for (int unsigned row = 0; row < Rows; row++) begin
      if (row_q == 16'(row)) begin
        row_sum = row_sums[row*RowSumWidth +: RowSumWidth];
      end
    end
  end

  mac_correct #(
    .Cols       (Cols),
    .LhsWidth   (LhsWidth),
    .RhsWidth   (RhsWidth),
    .RowSumWidth(RowSumWidth),
    .ColSumWidth(ColSumWidth)
  ) u_correct (
    .clk_i,
    .rst_ni,
    .limit_i     (limit_q),
    .policy_i    (policy_q),
    .col_enable_i(done_col_enable_q),
    .lhs_zero_i  (done_lhs_zero_q),
    .rhs_zero_i  (done_rhs_zero_q),
    .col_sums_i  (col_sums),
    .k_i         (done_k_q),
    .valid_i     (row_valid_q),
    .ready_o     (correct_ready),
    .acc_i       (done_row),
    .row_sum_i   (row_sum),
    .valid_o     (out_valid),
    .ready_i     (out_ready),
    .acc_o       (out_data),
    .busy_o      (correct_busy),
    .overflow_o  (correct_overflow)
  );

  //////////////
  // Overflow //
  //////////////

  // The core's flags are of the edge before: in the cycle after a hand-over, still of the tile that
  // was handed over.
  logic handed_over_q, overflow_q, done_overflow_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      handed_over_q   <= 1'b0;
      overflow_q      <= 1'b0;
      done_overflow_q <= 1'b0;
    end else begin
      handed_over_q <= hand_over;
      if (handed_over_q) begin
        overflow_q      <= 1'b0;
        done_overflow_q <= overflow_q || core_overflow || core_done_overflow;
      end else begin
        overflow_q      <= overflow_q || core_overflow;
        done_overflow_q <= done_overflow_q || core_done_overflow || correct_overflow;
      end
    end
  end

  assign overflow_o = done_overflow_q;

  ////////////////
  // Assertions //
  ////////////////

  // The output stream's stability is asserted in stream_register.

  `QSIM_ASSERT(CommandStable,
               cmd_valid_i && !cmd_ready_o |=>
                   cmd_valid_i && $stable(cmd_rhs_zero_i) &&
                   $stable({cmd_k_i, cmd_rows_i, cmd_cols_i, cmd_lhs_zero_i, cmd_acc_bits_i,
                            cmd_acc_policy_i, cmd_mode_i, cmd_lhs_signed_i, cmd_first_i, cmd_last_i}),
               "a command changed before it was taken")

  `QSIM_ASSERT(CommandHeld,
               open_q && !cmd_accept |=>
                   $stable(rhs_zero_q) && $stable(row_enable_q) && $stable(col_enable_q) &&
                   $stable({limit_q, k_total_q, rows_q}) &&
                   $stable({lhs_zero_q, policy_q, mode_q, lhs_signed_q, last_q}),
               "a field of the command changed during its pass")

  `QSIM_ASSERT(TileHeld,
               (owed_q || leaving_q) && !left |=>
                   $stable(done_rhs_zero_q) && $stable(done_col_enable_q) &&
                   $stable({done_k_q, done_rows_q, done_lhs_zero_q, limit_q, policy_q}),
               "a field of the tile that leaves changed")

  `QSIM_ASSERT(RowsLegal, cmd_accept |-> cmd_rows_i >= 16'd1 && 32'(cmd_rows_i) <= Rows,
               "the rows are not 1 to Rows")

  `QSIM_ASSERT(ColsLegal, cmd_accept |-> cmd_cols_i >= 16'd1 && 32'(cmd_cols_i) <= Cols,
               "the columns are not 1 to Cols")

  `QSIM_ASSERT(AccBitsLegal,
               cmd_accept |-> 32'(cmd_acc_bits_i) >= qsim_pkg::MinAccBits &&
                              32'(cmd_acc_bits_i) <= qsim_pkg::MaxAccBits,
               "the accumulator's width is not 16 to 32")

  `QSIM_ASSERT(AccPolicyLegal, cmd_accept |-> cmd_acc_policy_i <= qsim_pkg::PolicySaturate,
               "no such accumulator policy")

  `QSIM_ASSERT(ShiftModeLegal,
               cmd_accept && cmd_mode_i == qsim_pkg::ModeShift |->
                   cmd_lhs_zero_i == '0 && !cmd_lhs_signed_i,
               "a log2 code has no zero point and no sign")

  `QSIM_ASSERT(DepthLegal,
               cmd_accept && !cmd_first_i |->
                   32'(k_total_q) + 32'(cmd_k_i) <= qsim_pkg::MaxDepth,
               "the passes of a tile have more than 65535 steps")

  `QSIM_ASSERT(TileOpen, cmd_accept |-> cmd_first_i == last_q,
               "a tile must begin with its first pass, and end with its last")

  `QSIM_ASSERT(TileShared,
               cmd_accept && !cmd_first_i && !last_q |->
                   cmd_rows_i == rows_q && col_enable_d == col_enable_q && cmd_mode_i == mode_q &&
                   cmd_lhs_signed_i == lhs_signed_q && cmd_lhs_zero_i == lhs_zero_q &&
                   cmd_rhs_zero_i == rhs_zero_q && limit_d == limit_q &&
                   cmd_acc_policy_i == policy_q,
               "the passes of a tile differ")

  `QSIM_ASSERT(SumsHeld, correct_busy |-> !hand_over,
               "the sums changed while a row was being corrected")

  `QSIM_ASSERT(WaveLegal, wave_q <= WaveSteps, "the wave has left the array")

endmodule
