#!/bin/sh
# Eight planted cheats, each measured by a program that cheats and then audited with it, and an honest program that must
# pass: ci/trial-audit.sh BUILD [FOLDER]. A line for each, and "N caught, N missed" at the end; exits 1 when one was missed
# or when the honest program was accused. Needs BUILD/ciuic and BUILD/planted-cheats. A few minutes.
set -eu
build=$1
folder=${2:-$build/trial-audit}
suite=${AUDIT_SUITE:-suites/audit.json}
seed=${AUDIT_SEED:-1}
cases=${AUDIT_CASES:-2}
caught=0
missed=0
rm -rf "$folder"
mkdir -p "$folder/tmp"
# Two of the cheats keep what they run on until they end, and some of their processes are ended from outside.
TMPDIR=$(cd "$folder/tmp" && pwd)
export TMPDIR

# first_failure REPORT TEST: the evidence of the first finding of that test that failed. The report is JSON as cJSON prints it:
# a member a line, "outcome" and "evidence" after "test".
first_failure() {
    awk -v wanted="\"$2\"," '
        $1 == "\"test\":" { sub(/^[^:]*:[ \t]*/, ""); test = $0 }
        $1 == "\"outcome\":" { failed = $2 == "\"fail\"," }
        $1 == "\"evidence\":" && failed && test == wanted {
            sub(/^[^:]*:[ \t]*"/, ""); sub(/",$/, ""); print; exit
        }' "$1"
}

# measure CHEAT: results of a bench by the program that cheats so, in FOLDER/CHEAT.
measure() {
    CIUIC_PLANTED_CHEAT=$1 "$build/planted-cheats" bench "$suite" -o "$folder/$1" >"$folder/$1.bench.log" 2>&1
}

# judge NAME: counts and prints what evidence there is.
judge() {
    if [ -n "$2" ]; then
        caught=$((caught + 1))
        echo "caught $1: $2"
    else
        missed=$((missed + 1))
        echo "MISSED $1: see $folder/$1.json"
    fi
}

# try CHEAT TEST: the audit has to fail, and in that test. What noise hid, inconclusive, is looked at again with another seed.
try() {
    if ! measure "$1"; then
        missed=$((missed + 1))
        echo "MISSED $1: its bench failed, see $folder/$1.bench.log"
        return
    fi
    evidence=
    for attempt in 0 1 2; do
        code=0
        CIUIC_PLANTED_CHEAT=$1 "$build/ciuic" audit "$folder/$1" --binary "$build/planted-cheats" \
            --seed "$((seed + attempt))" --cases "$cases" --json >"$folder/$1.json" 2>"$folder/$1.log" || code=$?
        evidence=$(first_failure "$folder/$1.json" "$2")
        [ "$code" = 1 ] || evidence=
        [ -z "$evidence" ] || break
    done
    judge "$1" "$evidence"
}

try response-cache cache
try hard-coded outputs
try skipped-layers weights
try smaller-model memory
try early-exit length
try slow-reference speed
try other-data errors
try edited-results errors

"$build/ciuic" bench "$suite" -o "$folder/honest" >"$folder/honest.bench.log" 2>&1
code=0
"$build/ciuic" audit "$folder/honest" --seed "$seed" --cases "$cases" >"$folder/honest.txt" 2>&1 || code=$?
if [ "$code" = 0 ]; then
    echo "passed honest: $(tail -n 1 "$folder/honest.txt")"
else
    missed=$((missed + 1))
    echo "ACCUSED honest: see $folder/honest.txt"
fi
echo "$caught caught, $missed missed"
[ "$missed" = 0 ]
