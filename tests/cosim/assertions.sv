// Every module that asserts something, by itself and without connections: assertion_test.cpp drives the
// ports and spoils the registers. Small enough for every signal to fit 64 bits.
module assertions (
  input logic clk_i,
  input logic rst_ni
);

  mac_array #(.Rows(2), .Cols(2)) u_mac_array (.clk_i, .rst_ni);
  mac_core #(.Rows(2), .Cols(2)) u_mac_core (.clk_i, .rst_ni);
  mac_correct #(.Cols(2)) u_mac_correct (.clk_i, .rst_ni);
  requantize #(.Lanes(1)) u_requantize (.clk_i, .rst_ni);
  residual_add #(.Lanes(1)) u_residual_add (.clk_i, .rst_ni);
  row_reciprocal u_row_reciprocal (.clk_i, .rst_ni);
  stream_register u_stream_register (.clk_i, .rst_ni);

endmodule
