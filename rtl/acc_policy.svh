// What an accumulator does with a sum that its width can not hold. docs/numerics.md section 3.
//
// The one place where the policy acts: the array and the zero-point corrections pass every sum through
// these functions. The accumulator has W = 16..32 bits, given as its smallest value limit = -2^(W-1),
// sign-extended to 32 bits; the largest value is then ~limit.
//
//   policy          a sum outside [-2^(W-1), 2^(W-1) - 1] becomes
//   PolicyError     the sum modulo 2^32: only the overflow matters, the result is not to be used
//   PolicyWrap      the sum modulo 2^W, sign-extended
//   PolicySaturate  the nearer end of the range
//
// A sum is given as its low 32 bits and 32 copies of its sign. Functions, and free of conditions: loops
// call them for every element, and a simulator makes vectors of such loops. Included inside a module.

// The bits from W-1 upward that differ from the sign: none if the sum fits.
function automatic logic [31:0] acc_excess(input logic [31:0] sum, input logic [31:0] sign,
                                           input logic [31:0] limit);
  acc_excess = (sum ^ sign) & limit;
endfunction

// wrap, saturate: 32 copies of whether the policy is that one; overflow: 32 copies of whether the sum
// does not fit.
function automatic logic [31:0] acc_result(input logic [31:0] sum, input logic [31:0] sign,
                                           input logic [31:0] overflow, input logic [31:0] limit,
                                           input logic [31:0] wrap, input logic [31:0] saturate);
  // wrap: the bits above W-1 become copies of bit W-1, by (x ^ 2^(W-1)) - 2^(W-1). saturate: the end
  // on the sign's side is limit ^ ~sign.
  acc_result = (((sum & ~((limit << 1) & wrap)) ^ ((limit ^ (limit << 1)) & wrap)) -
                ((limit ^ (limit << 1)) & wrap)) ^
               ((sum ^ limit ^ ~sign) & overflow & saturate);
endfunction
