#!/bin/sh
# Fuzzes one target for so many seconds: `run.sh TARGET SECONDS`. New inputs go to target/fuzz, the
# committed corpus is only read. No sanitizer: our own code has no unsafe block to watch, and
# without one the stable toolchain will do.
set -eu
cd "$(dirname "$0")/../.."
target=$1
seconds=$2
PATH="$PWD/target/tools/bin:$PATH"
found=target/fuzz/corpus/$target
mkdir -p "$found"
set -- -max_total_time="$seconds" -print_final_stats=1
case $target in
    tls) set -- "$@" -max_len=4096 ;;
    dialogue | engine) set -- "$@" -dict=tests/fuzz/smtp.dict -max_len=1024 ;;
    servers) set -- "$@" -max_len=512 ;;
    header | patches) set -- "$@" -max_len=2048 ;;
    options) set -- "$@" -max_len=41 ;;
esac
exec cargo fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none \
    "$target" "$found" "tests/fuzz/corpus/$target" -- "$@"
