// Codes and limits that modules and C++ share. sim/cosim/CMakeLists.txt turns each `Name = number` here
// into a C++ constant, and C++ asserts that its enumerations agree. Tools read this file before the modules.

package qsim_pkg;

  // docs/numerics.md section 2; RoundDouble, section 4.6, is known to requantize alone.
  typedef enum logic [2:0] {
    RoundHalfUp     = 3'd0,
    RoundHalfAway   = 3'd1,
    RoundHalfEven   = 3'd2,
    RoundFloor      = 3'd3,
    RoundTowardZero = 3'd4,
    RoundDouble     = 3'd5
  } rounding_e;

  // docs/numerics.md (3.3), see acc_policy.
  typedef enum logic [1:0] {
    PolicyError    = 2'd0,
    PolicyWrap     = 2'd1,
    PolicySaturate = 2'd2
  } acc_policy_e;

  // What lhs is to a processing element: a number, or a log2 code (docs/numerics.md section 3.4).
  typedef enum logic [0:0] {
    ModeMultiply = 1'd0,
    ModeShift    = 1'd1
  } operand_mode_e;

  localparam int unsigned MinAccBits    = 16;
  localparam int unsigned MaxAccBits    = 32;
  localparam int unsigned MaxDepth      = 65535;  // steps of k in a tile
  localparam int unsigned MaxBeats      = 65535;  // of one command
  localparam int unsigned MaxShift      = 62;     // S
  localparam int unsigned ZeroBits      = 17;     // |z| <= 2^ZeroBits
  localparam int unsigned AddendBits    = 61;     // |addend| <= 2^AddendBits
  localparam int unsigned ResidualWidth = 17;     // of b, two's complement: 16 bits, signed or unsigned

endpackage
