#!/bin/sh
# Changes one module of the core in every small way (cargo-mutants), and runs what is tested in
# process against each change: `run.sh MODULE`. A change that no test notices has to stand in
# MODULE.txt beside this script, with the reason why none can; any other is a failure.
set -eu
cd "$(dirname "$0")/../.."
module=$1
known=tests/mutants/$module.txt
PATH="$PWD/target/tools/bin:$PATH"
# Copies of the tree, and what is built in them, lie below target/, too.
export TMPDIR="$PWD/target/mutants/tmp"
mkdir -p "$TMPDIR"
out=target/mutants/$module
mkdir -p "$out"
# Fewer rounds of what is random: what a thousand more would find is the business of `make soak`.
export SEEDS=40 ROUNDS=2000 CARGO_PROFILE_TEST_DEBUG=none CARGO_PROFILE_DEV_DEBUG=none
# The style of a changed source is not to be judged: the comment that marks a change is too long.
cargo mutants --file "src/$module/**" --output "$out" --jobs "${JOBS:-2}" --timeout 120 \
    --no-shuffle --colors never --cargo-arg=--locked --cargo-arg=--lib --cargo-arg=--test=core \
    -- -- --skip tidy || status=$?
# 2: some were missed; 3: some took too long, which a run of the tests would show.
case ${status:-0} in 0 | 2 | 3) ;; *) exit "$status" ;; esac
nameless() { sed -E 's/^([^:]*):[0-9]+:[0-9]+:/\1:/' "$1" | sort; }
[ -f "$known" ] && grep '^src/' "$known" | sort >"$out/known" || : >"$out/known"
nameless "$out/mutants.out/missed.txt" >"$out/missed"
count() { wc -l <"$out/mutants.out/$1.txt"; }
echo "$module: $(count caught) caught, $(count timeout) too slow, $(count missed) missed," \
    "$(count unviable) do not compile"
if ! new=$(comm -23 "$out/missed" "$out/known") || [ -n "$new" ]; then
    echo "noticed by no test, and not explained in $known:"
    echo "$new"
    exit 1
fi
gone=$(comm -13 "$out/missed" "$out/known")
[ -z "$gone" ] || echo "explained in $known, but caught now: $gone"
