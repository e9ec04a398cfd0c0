#!/bin/sh
# `make report`: ci/report.sh PROGRAM FOLDER measures the quick suite and writes the page into FOLDER.
# A finished older run is moved aside to FOLDER.previous, never overwritten; an interrupted one is gone on with.
set -eu
program=$1
folder=$2
suite=suites/quick.json
resume=
if [ -e "$folder/results.json" ]; then
    rm -rf "$folder.previous"
    mv "$folder" "$folder.previous"
    echo "the previous run is now in $folder.previous"
elif [ -e "$folder/journal.jsonl" ]; then
    echo "going on with the interrupted run in $folder"
    resume=--resume
fi
"$program" bench "$suite" -o "$folder" $resume
"$program" report "$folder"
