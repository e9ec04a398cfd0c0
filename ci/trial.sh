#!/bin/sh
# `make trial`: ci/trial.sh [NAME...] carries out the trials of measurement, or those named, one after the other, and leaves
# their lines in build/trial/summary.txt, under what they were made on. Exits 1 when one failed. Timings want a machine that does
# nothing else. TRIAL_QUICK=1 does each a few times only, which proves little; TRIAL_COUNT and TRIAL_SEED set how often and
# from which seed; TRIAL_BUILD is the folder of the programs.
set -eu
build=${TRIAL_BUILD:-build}
program=$build/trial/trial
# What takes longest comes last; suites/quick.json twenty times over takes most of an hour, and is only run when named.
[ $# -gt 0 ] || set -- harness-cost gate-regressions faults power false-alarms audit gate-reruns
summary=$build/trial/summary.txt
{
    echo "# $(date -u +%Y-%m-%dT%H:%M:%SZ), revision $(git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)"
    echo "# $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(uname -sr), load $(cut -d ' ' -f 1-3 /proc/loadavg)"
    echo "# ci/trial.sh $*${TRIAL_QUICK:+ (TRIAL_QUICK=$TRIAL_QUICK)}${TRIAL_COUNT:+ (TRIAL_COUNT=$TRIAL_COUNT)}"
} >"$summary"
worst=0
for name in "$@"; do
    status=0
    if [ "$name" = audit ]; then # a script of its own: it is a program that is audited, not this one
        ci/trial-audit.sh "$build" >"$summary.line" || status=$?
    else
        "$program" "$name" --build "$build" --seed "${TRIAL_SEED:-1}" ${TRIAL_QUICK:+--quick} \
            ${TRIAL_COUNT:+--count "$TRIAL_COUNT"} >"$summary.line" || status=$?
    fi
    cat "$summary.line" >>"$summary"
    cat "$summary.line"
    [ "$status" -le "$worst" ] || worst=$status
done
rm -f "$summary.line"
echo "summary: $summary"
exit "$worst"
