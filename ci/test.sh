#!/bin/sh
# Runs every test program of a build folder and adds up their closing lines: ci/test.sh BUILD. Exits 1 when a case failed,
# or when a program ended without a closing line.
set -eu
build=$1
export CIUIC_BINARY="$build/ciuic"
status=0
passed=0
failed=0
for program in check-kernels test-optimizer test-harness; do
    printf '== %s\n' "$program"
    log=$build/$program.log
    # The status by way of a file: that of the pipe would be tee's, and waiting for the end would show nothing meanwhile.
    { code=0; "$build/$program" || code=$?; echo "$code" >"$log.status"; } 2>&1 | tee "$log"
    code=$(cat "$log.status")
    # "N passed, N failed", the last line of each.
    counts=$(sed -n '$s/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed.*$/\1 \2/p' "$log")
    if [ -z "$counts" ]; then
        printf '%s ended with status %s and without a closing line\n' "$program" "$code"
        counts='0 1'
    elif [ "$code" != 0 ] && [ "${counts#* }" = 0 ]; then
        printf '%s ended with status %s although no case failed\n' "$program" "$code"
        counts="${counts% *} 1"
    fi
    passed=$((passed + ${counts% *}))
    failed=$((failed + ${counts#* }))
done
if [ "$failed" -gt 0 ] || [ "$passed" = 0 ]; then status=1; fi
printf '%s passed, %s failed\n' "$passed" "$failed"
exit "$status"
