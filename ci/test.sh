#!/bin/sh
# Runs every test program of a build folder and adds up their closing lines: ci/test.sh BUILD [CHECK]. CHECK is check-kernels
# for aarch64, which an emulator runs. Exits 1 when a case failed, or when a program ended without a closing line.
set -eu
build=$1
cross=${2:-}
export CIUIC_BINARY="$build/ciuic"
status=0
passed=0
failed=0

# keep LOG COMMAND...: its output and, in LOG.status, its exit status: that of a pipe would be tee's.
keep() {
    log=$build/$1.log
    shift
    { code=0; "$@" || code=$?; echo "$code" >"$log.status"; } 2>&1 | tee "$log"
}

# count LOG WORDS...: adds up the closing line of what was kept.
count() {
    log=$build/$1.log
    shift
    code=$(cat "$log.status")
    # "N passed, N failed", the last line of each.
    counts=$(sed -n '$s/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed.*$/\1 \2/p' "$log")
    if [ -z "$counts" ]; then
        printf '%s ended with status %s and without a closing line\n' "$*" "$code"
        counts='0 1'
    elif [ "$code" != 0 ] && [ "${counts#* }" = 0 ]; then
        printf '%s ended with status %s although no case failed\n' "$*" "$code"
        counts="${counts% *} 1"
    fi
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
}

# run LOG COMMAND...: shown, kept and counted.
run() {
    printf '== %s\n' "$1"
    keep "$@"
    shown=$1
    shift
    count "$shown" "$@"
}

emulated=
if [ "$(uname -m)" != aarch64 ] && [ -n "$cross" ]; then
    # A CPU with every extension, and one with none: what an old machine runs may not use them by accident. Each is one thread
    # and takes minutes: they begin at once, behind everything else, and the tests that time things wait for them.
    emulated='max cortex-a72'
    for cpu in $emulated; do
        keep "check-kernels-$cpu" nice -n 19 qemu-aarch64 -cpu "$cpu" "$cross" --isa neon >/dev/null &
    done
fi

run check-kernels "$build/check-kernels"
run test-optimizer "$build/test-optimizer"
run test-harness "$build/test-harness" --part any

# Errors and bytes of every format, and simulated instructions of two, against what was recorded.
case $build in
*sanitize) echo '== gate: skipped, as it is with SANITIZE=1' ;;
*)
    printf '== gate\n'
    if GATE_SUITES='gate counters' ci/gate.sh "$build/ciuic" "$build/gate"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    ;;
esac

wait
keep test-harness-beside "$build/test-harness" --part beside >/dev/null &
run test-harness-timed "$build/test-harness" --part timed
wait
printf '== test-harness-beside\n'
cat "$build/test-harness-beside.log"
count test-harness-beside "$build/test-harness" --part beside

for cpu in $emulated; do
    printf '== check-kernels for aarch64, qemu-aarch64 -cpu %s\n' "$cpu"
    cat "$build/check-kernels-$cpu.log"
    count "check-kernels-$cpu" "qemu-aarch64 -cpu $cpu $cross"
done
if [ -z "$emulated" ] && [ "$(uname -m)" != aarch64 ]; then # there check-kernels has run the neon rung itself
    echo '== check-kernels for aarch64: skipped, as it is with SANITIZE=1 or without aarch64-linux-gnu-gcc and qemu-aarch64'
fi

if [ "$failed" -gt 0 ] || [ "$passed" = 0 ]; then status=1; fi
printf '%s passed, %s failed\n' "$passed" "$failed"
exit "$status"
