#!/usr/bin/env bash
# Usage: writememh_test.sh SOURCE_DIR QSIM SIMULATOR (verilator, iverilog)
# A module that writes its results by $writememh can be compared by qsim diff, and explained, without a sidecar.
set -euo pipefail
source=$1 qsim=$2 simulator=$3
command -v "$simulator" >/dev/null || { echo "skipped: no $simulator"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$qsim" run --config "$source/configs/attn_config.yaml" --input "$source/vectors" --blocks 0 --images 1 --output "$work/run" \
  --memh >/dev/null 2>&1
cd "$work"
mkdir rtl
cat >copy.v <<'END'
module copy;
  reg [7:0] in[0:1087];
  reg [7:0] out[0:1087];
  reg [511:0] rows[0:16];
  integer i, j;
  initial begin
    $readmemh("run/memh/blocks.0.attn_q_out.memh", in);
    for (i = 0; i < 17; i = i + 1)
      for (j = 0; j < 64; j = j + 1) rows[i][8 * j +: 8] = in[64 * i + j];
    for (i = 0; i < 1088; i = i + 1) out[i] = in[i];
    $writememh("rtl/blocks.0.attn_q_out.memh", out);
    $writememh("rtl/rows.memh", rows);
    $writememh("rtl/part.hex", in, 64, 127);
    out[700] = out[700] ^ 8'h01;
    $writememh("rtl/wrong.memh", out);
    $finish;
  end
endmodule
END
case $simulator in
  verilator) verilator --binary -Wno-fatal -Wno-WIDTH --top copy --Mdir obj copy.v >log && obj/Vcopy >>log ;;
  iverilog) iverilog -o copy copy.v >log && vvp copy >>log ;;
esac
golden=run/golden/blocks.0.attn_q_out.npy
"$qsim" diff $golden rtl/blocks.0.attn_q_out.memh
"$qsim" diff $golden rtl/rows.memh
mkdir one && mv rtl/blocks.0.attn_q_out.memh one/
"$qsim" diff run/golden one >directories || [[ $? == 1 ]]
grep -q '1 of [0-9]* tensors differ\|tensors differ' directories
! grep -q attn_q_out directories || { cat directories; exit 1; }
"$qsim" diff $golden rtl/wrong.memh >wrong && exit 1
grep -q '1 of 1088 elements differ (int8 1x17x64)' wrong
grep -q 'first at \[0, 10, 60\]' wrong
# A row of it, from an address on: as many elements as there are.
"$qsim" diff $golden rtl/part.hex >part && exit 1
grep -q 'shapes differ: a is int8 1x17x64, b is int8 64' part
# explain takes the same files in the same way.
"$qsim" calibrate --config "$source/configs/attn_config.yaml" --input "$source/vectors" --blocks 0 --images 1 --output bundle \
  >/dev/null 2>&1
mkdir chip && cp rtl/wrong.memh chip/blocks.0.attn_q_out.memh
"$qsim" explain run/golden chip --bundle bundle --tap blocks.0.attn_q_out >explained && exit 1
grep -q blocks.0.attn_q_out explained
