// Output-stationary systolic MAC array, Rows x Cols. docs/numerics.md section 3, docs/rtl.md.
//
//   acc[m][n] = bias[n] + sum_k lhs[m][k] * rhs[k][n]
//               - rhs_zero[n] * sum_k lhs[m][k] - lhs_zero * sum_k rhs[k][n]
//               + K * lhs_zero * rhs_zero[n]
//
// One command is one pass: up to Rows x Cols outputs, cmd_k_i steps of k. A tile with more k than one
// pass feeds its partial sums back in: every output row of a pass becomes an init row of the next.
//
//   stream  beats of a pass                        one beat
//   cmd     1                                      the fields below
//   init    1 if cmd_first_i, else cmd_rows_i      a row of accumulators: the bias, loaded into every
//                                                  row, or the partial sums of row 0, 1, ...
//   lhs     cmd_k_i                                lhs[0..Rows-1][k]
//   rhs     cmd_k_i                                rhs[k][0..Cols-1]
//   out     cmd_rows_i                             acc[m][0..Cols-1], m = 0, 1, ...
//
// Lanes beyond cmd_rows_i and cmd_cols_i may carry anything; they never flag an overflow.
// A command is taken only when every output row of the one before has been taken.

`include "qsim_assert.svh"

module mac_array #(
  parameter int unsigned Rows     = 16,
  parameter int unsigned Cols     = 16,
  parameter int unsigned LhsWidth = 8,  // 5..8: a log2 code needs 5 bits
  parameter int unsigned RhsWidth = 8   // 2..8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,

  // The passes of a tile share rows, cols and all that follows.
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

  // Since the tile's first command some sum left the W bits, whatever the policy. Complete when the
  // last output row of the last pass is offered.
  output logic                     overflow_o
);

  `QSIM_ASSERT_INIT(SizeLegal, Rows >= 1 && Cols >= 1 && Rows + Cols <= 65536,
                    "Rows and Cols must be at least 1 and at most 65536 together")
  `QSIM_ASSERT_INIT(LhsWidthLegal, LhsWidth >= 5 && LhsWidth <= 8, "LhsWidth must be 5 to 8")
  `QSIM_ASSERT_INIT(RhsWidthLegal, RhsWidth >= 2 && RhsWidth <= 8, "RhsWidth must be 2 to 8")

  // A step moves every operand by one element. After the last beat the wavefront needs this many more
  // to leave the array. A counter of 16 bits counts them.
  localparam int unsigned FlushSteps  = Rows + Cols - 2;
  localparam int unsigned LhsExtWidth = LhsWidth + 1;
  localparam int unsigned RowSumWidth = 32;             // see mac_operands
  localparam int unsigned ColSumWidth = RhsWidth + 16;  // see mac_operands

  typedef enum logic [2:0] {StIdle, StLoad, StFeed, StFlush, StUnload, StWait} state_e;

  ///////////////////////////
  // Command and its state //
  ///////////////////////////

  state_e                   state_d, state_q;
  logic [15:0]              count_d, count_q;
  logic                     cmd_accept;
  logic                     first_q, last_q, lhs_signed_q;
  qsim_pkg::operand_mode_e  mode_q;
  logic [15:0]              k_q, k_total_q, rows_q, rows_last;
  logic [LhsWidth:0]        lhs_zero_q;
  logic [Cols*RhsWidth-1:0] rhs_zero_q;
  logic [31:0]              limit_d, limit_q;
  qsim_pkg::acc_policy_e    policy_q;
  logic [Rows-1:0]          row_enable_d, row_enable_q;
  logic [Cols-1:0]          col_enable_d, col_enable_q;

  assign cmd_ready_o = state_q == StIdle;
  assign cmd_accept  = cmd_valid_i && cmd_ready_o;
  assign rows_last   = rows_q - 16'd1;
  assign limit_d     = 32'hFFFF_FFFF << (cmd_acc_bits_i - 6'd1);

  for (genvar row = 0; row < Rows; row++) begin : gen_row_enable
    assign row_enable_d[row] = 16'(row) < cmd_rows_i;
  end
  for (genvar col = 0; col < Cols; col++) begin : gen_col_enable
    assign col_enable_d[col] = 16'(col) < cmd_cols_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      first_q      <= 1'b0;
      last_q       <= 1'b1;  // no tile is open
      mode_q       <= qsim_pkg::ModeMultiply;
      lhs_signed_q <= 1'b0;
      k_q          <= '0;
      k_total_q    <= '0;
      rows_q       <= 16'd1;
      lhs_zero_q   <= '0;
      rhs_zero_q   <= '0;
      limit_q      <= 32'h8000_0000;
      policy_q     <= qsim_pkg::PolicyError;
      row_enable_q <= '0;
      col_enable_q <= '0;
    end else if (cmd_accept) begin
      first_q      <= cmd_first_i;
      last_q       <= cmd_last_i;
      mode_q       <= cmd_mode_i;
      lhs_signed_q <= cmd_lhs_signed_i;
      k_q          <= cmd_k_i;
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

  logic feed, step, load, unload, correct_ready, correct_busy;

  assign feed       = state_q == StFeed && lhs_valid && rhs_valid;
  assign step       = feed || state_q == StFlush;
  assign load       = state_q == StLoad && init_valid;
  assign unload     = state_q == StUnload && correct_ready;

  assign init_ready = state_q == StLoad;
  assign lhs_ready  = feed;
  assign rhs_ready  = feed;

  always_comb begin
    state_d = state_q;
    count_d = count_q;
    unique case (state_q)
      StIdle: begin
        count_d = '0;
        if (cmd_valid_i) begin
          state_d = StLoad;
        end
      end
      StLoad: begin
        if (load) begin
          count_d = count_q + 16'd1;
          if (first_q || count_q == rows_last) begin
            count_d = '0;
            state_d = k_q == '0 ? StUnload : StFeed;
          end
        end
      end
      StFeed: begin
        if (feed) begin
          count_d = count_q + 16'd1;
          if (count_d == k_q) begin
            count_d = '0;
            state_d = FlushSteps == 0 ? StUnload : StFlush;
          end
        end
      end
      StFlush: begin
        count_d = count_q + 16'd1;
        if (count_d == 16'(FlushSteps)) begin
          count_d = '0;
          state_d = StUnload;
        end
      end
      StUnload: begin
        if (unload) begin
          count_d = count_q + 16'd1;
          if (count_q == rows_last) begin
            state_d = StWait;
          end
        end
      end
      StWait: begin
        if (!correct_busy && !out_valid_o) begin
          state_d = StIdle;
        end
      end
      default: state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      count_q <= '0;
    end else begin
      state_q <= state_d;
      count_q <= count_d;
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
    .clear_i     (cmd_accept && cmd_first_i),
    .feed_i      (feed),
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

  logic [Cols*32-1:0] init_used, leaving_row;
  logic               core_overflow;

  for (genvar col = 0; col < Cols; col++) begin : gen_init
    assign init_used[col*32 +: 32] = init_data[col*32 +: 32] & {32{col_enable_q[col]}};
  end

  mac_core #(
    .Rows    (Rows),
    .Cols    (Cols),
    .LhsWidth(LhsWidth),
    .RhsWidth(RhsWidth)
  ) u_core (
    .clk_i,
    .rst_ni,
    .step_i    (step),
    .load_i    (load),
    .unload_i  (unload),
    .load_all_i(first_q),
    .load_row_i(count_q),
    .mode_i    (mode_q),
    .limit_i   (limit_q),
    .policy_i  (policy_q),
    .lhs_i     (lhs_fed),
    .rhs_i     (rhs_fed),
    .init_i    (init_used),
    .acc_o     (leaving_row),
    .overflow_o(core_overflow)
  );

  /////////////////
  // Corrections //
  /////////////////

  logic correct_overflow;

  // Row 0 leaves first, the others move up behind it: count_q is the row that leaves now.
  always_comb begin
    row_sum = '0;
    for (int unsigned row = 0; row < Rows; row++) begin
      if (count_q == 16'(row)) begin
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
    .enable_i    (last_q),
    .limit_i     (limit_q),
    .policy_i    (policy_q),
    .col_enable_i(col_enable_q),
    .lhs_zero_i  (lhs_zero_q),
    .rhs_zero_i  (rhs_zero_q),
    .col_sums_i  (col_sums),
    .k_i         (k_total_q),
    .valid_i     (state_q == StUnload),
    .ready_o     (correct_ready),
    .acc_i       (leaving_row),
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

  logic overflow_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      overflow_q <= 1'b0;
    end else if (cmd_accept && cmd_first_i) begin
      overflow_q <= 1'b0;
    end else if (core_overflow || correct_overflow) begin
      overflow_q <= 1'b1;
    end
  end

  assign overflow_o = overflow_q;

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
               state_q != StIdle |=>
                   $stable(rhs_zero_q) && $stable(row_enable_q) && $stable(col_enable_q) &&
                   $stable({limit_q, k_q, k_total_q, rows_q}) &&
                   $stable({lhs_zero_q, policy_q, mode_q, lhs_signed_q, first_q, last_q}),
               "a field of the command changed during its pass")

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

  `QSIM_ASSERT(TileOpen, cmd_accept && !cmd_first_i |-> !last_q,
               "a tile must begin with its first pass")

  `QSIM_ASSERT(TileShared,
               cmd_accept && !cmd_first_i && !last_q |->
                   cmd_rows_i == rows_q && col_enable_d == col_enable_q && cmd_mode_i == mode_q &&
                   cmd_lhs_signed_i == lhs_signed_q && cmd_lhs_zero_i == lhs_zero_q &&
                   cmd_rhs_zero_i == rhs_zero_q && limit_d == limit_q &&
                   cmd_acc_policy_i == policy_q,
               "the passes of a tile differ")

  `QSIM_ASSERT(SumsHeld, correct_busy |-> !feed && !cmd_accept,
               "the sums changed while a row was being corrected")

  `QSIM_ASSERT(StateLegal, state_q <= StWait, "no such state")

endmodule
