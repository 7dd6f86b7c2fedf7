#!/bin/sh
# Runs `make test` ROUNDS times (5) while as many other processes as there are processors do nothing
# but compute, and prints how often it was good. What a round said is in target/busy/ROUND.log.
set -eu
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-5}
# A test has rounds of its own by that name, and make hands on what it was given.
unset ROUNDS MAKEFLAGS
mkdir -p target/busy
others=
trap 'kill $others' EXIT
trap 'exit 130' INT TERM
for _ in $(seq "$(nproc)"); do
    sh -c 'while :; do :; done' &
    others="$others $!"
done
good=0
for round in $(seq "$rounds"); do
    log=target/busy/$round.log
    begin=$(date +%s)
    if "${MAKE:-make}" test >"$log" 2>&1; then
        good=$((good + 1))
        word=good
    else
        word="not good, see $log"
        grep -E 'FAILED|panicked|^error' "$log" || tail -n 20 "$log"
    fi
    echo "round $round: $word ($(($(date +%s) - begin)) s)"
done
echo "$good of $rounds"
[ "$good" = "$rounds" ]
