// The two kinds of contract that the modules state; docs/rtl.md, "Contracts". Nothing in synthesis.
//
//   QSIM_ASSERT       holds at every rising clock edge outside reset; a violation ends the simulation
//   QSIM_ASSERT_INIT  holds for the parameters; a violation ends the elaboration
`ifndef QSIM_ASSERT_SVH
`define QSIM_ASSERT_SVH

`ifdef SYNTHESIS
`define QSIM_ASSERT(Name, Property, Message)
`define QSIM_ASSERT_INIT(Name, Condition, Message)
`else
`define QSIM_ASSERT(Name, Property, Message) \
  Name: assert property (@(posedge clk_i) disable iff (!rst_ni) Property) else $error(Message);
`define QSIM_ASSERT_INIT(Name, Condition, Message) \
  if (!(Condition)) begin : gen_``Name \
    $fatal(1, "%s: %s", `"Name`", Message); \
  end
`endif

`endif
