#!/bin/sh
# `make report`: ci/report.sh PROGRAM FOLDER measures the quick suite and writes the page into FOLDER.
# An interrupted run is gone on with where that is possible. Any other older run is moved aside to FOLDER.1, FOLDER.2 and so
# on, so that no measurement is lost by asking for another one.
set -eu
program=$1
folder=$2
suite=suites/quick.json

move_aside() {
    n=1
    while [ -e "$folder.$n" ]; do n=$((n + 1)); done
    mv "$folder" "$folder.$n"
    echo "the previous run is now in $folder.$n"
}

resume=
# results.json is there after an interruption too, with what was finished.
if grep -qs '"complete":[[:space:]]*true' "$folder/results.json"; then
    move_aside
elif [ -s "$folder/journal.jsonl" ]; then
    echo "going on with the interrupted run in $folder"
    resume=--resume
fi
status=0
"$program" bench "$suite" -o "$folder" $resume || status=$?
# 2 and 3: the journal is another program's, another suite's, or no journal; anything else would happen again.
if [ -n "$resume" ] && { [ "$status" = 2 ] || [ "$status" = 3 ]; }; then
    move_aside
    status=0
    "$program" bench "$suite" -o "$folder" || status=$?
fi
[ "$status" = 0 ] || exit "$status"
"$program" report "$folder" >/dev/null
echo "open $folder/index.html"
