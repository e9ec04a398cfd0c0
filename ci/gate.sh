#!/bin/sh
# `make gate`: ci/gate.sh PROGRAM FOLDER measures suites/gate.json (errors and bytes; half a minute), suites/counters.json
# (simulated instructions; a quarter of a minute, and left out where there is no valgrind or no AVX2) and suites/quick.json
# (speed as well; a few minutes), and holds them against ci/gate.json, ci/gate-counters.json and ci/gate-quick.json. All are
# judged whatever the first says. GATE_SUITES=gate leaves the others out. Leaves FOLDER/SUITE/{results.json,junit.xml,summary.md}.
set -eu
program=$1
folder=$2
worst=0

# judge SUITE LIMITS
judge() {
    rm -rf "${folder:?}/$1" # a run of another revision says nothing about this one
    status=0
    "$program" bench "suites/$1.json" -o "$folder/$1" >/dev/null || status=$?
    if [ "$status" = 0 ]; then
        "$program" gate "$folder/$1" --baseline "$2" --junit "$folder/$1/junit.xml" --summary "$folder/$1/summary.md" ||
            status=$?
    fi
    [ "$status" -le "$worst" ] || worst=$status
}

mkdir -p "$folder"
for suite in ${GATE_SUITES:-gate counters quick}; do
    case $suite in
    gate) judge gate ci/gate.json ;;
    counters)
        if ! command -v valgrind >/dev/null 2>&1; then
            echo 'ci/gate.sh: no valgrind: simulated counters are not held against ci/gate-counters.json' >&2
        elif ! "$program" --version | grep -q ' avx2'; then
            echo 'ci/gate.sh: no AVX2: simulated counters are not held against ci/gate-counters.json' >&2
        else
            judge counters ci/gate-counters.json
        fi
        ;;
    quick) judge quick ci/gate-quick.json ;;
    *) echo "ci/gate.sh: GATE_SUITES holds '$suite'; expected gate, counters, quick or several" >&2; exit 2 ;;
    esac
done
exit "$worst"
