#!/bin/sh
# Installs what a build needs and this machine lacks; silent and quick when nothing does.
#   ci/setup.sh         compilers and libraries: what `make`, `make test` and `make report` need
#   ci/setup.sh test    also what `make test` can do without: the emulator that runs the neon rung, its compiler, and
#                       valgrind, which simulates counters
#   ci/setup.sh lint    that, too, and what `make lint` uses
# With apt-get and the right to use it (root, or sudo without a password) it installs; otherwise it prints the one line
# to run and exits 1. CC (default cc) decides whether clang is needed.
set -eu

# A package, or alternatives of which any one will do; the first is the one to install.
packages='gcc g++ libc6-dev libbenchmark-dev libcjson-dev libcunit1-dev libmd-dev libdnnl-dev likwid gnuplot-nox
          libopenblas-pthread-dev|libopenblas-openmp-dev|libopenblas-serial-dev'
case ${CC:-cc} in *clang*) packages="$packages clang libomp-dev" ;; esac
# On aarch64 the neon rung runs by itself. Where these cannot be had, tests are left out and say so.
emulator='gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user'
[ "$(uname -m)" != aarch64 ] || emulator=
wanted=
case ${1:-} in
'') ;;
test) wanted="$emulator valgrind" ;;
lint) wanted="$emulator valgrind" packages="$packages clang clang-format libomp-dev shellcheck" ;;
*) echo "ci/setup.sh: unknown argument '$1'; expected nothing, 'test' or 'lint'" >&2; exit 2 ;;
esac

say() { printf 'ci/setup.sh: %s\n' "$*" >&2; }

# Another system than Debian's: no package names to offer, so ask the compiler which headers are there.
if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    missing=
    for tool in "${CC:-cc}" "${CXX:-c++}" gnuplot; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    for header in cjson/cJSON.h CUnit/CUnit.h cblas.h likwid.h sha2.h; do
        printf '#include <stdint.h>\n#include <sys/types.h>\n#include <%s>\n' "$header" |
            ${CC:-cc} -fsyntax-only -x c - 2>/dev/null || missing="$missing $header"
    done
    printf '#include <benchmark/benchmark.h>\n' | ${CXX:-c++} -fsyntax-only -x c++ - 2>/dev/null ||
        missing="$missing benchmark/benchmark.h"
    for tool in ${wanted:+aarch64-linux-gnu-gcc qemu-aarch64 valgrind}; do
        command -v "$tool" >/dev/null 2>&1 || say "$tool is not there: tests that need it are left out"
    done
    [ -z "$missing" ] && exit 0
    say "not a Debian system, and these are missing:$missing"
    say "install gcc, g++ (OpenMP), Google Benchmark, cJSON, CUnit, OpenBLAS, libmd, likwid and gnuplot; then repeat"
    exit 1
fi

# `package` names, one a line, of what is wholly installed; one call, because each costs 20 ms.
# shellcheck disable=SC2046 # the words of the list are the arguments
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(printf '%s' "$packages $wanted" | tr '|' ' ') 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ') "
# missing_of LIST: the first of each alternatives of which none is installed.
missing_of() {
    for alternatives in $1; do
        found=
        for package in $(printf '%s' "$alternatives" | tr '|' ' '); do
            case $installed in *" $package "*) found=yes ;; esac
        done
        [ -n "$found" ] || printf ' %s' "${alternatives%%|*}"
    done
}
needed=$(missing_of "$packages")
missing=$needed$(missing_of "$wanted")
[ -n "$missing" ] || exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    as_root='env'
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo -n env'
elif [ -z "$needed" ]; then
    say "tests are left out: only root may install$missing"
    exit 0
else
    say "packages are missing, and only root may install them. Run this once, then repeat:"
    echo "  sudo apt-get update && sudo $line" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP

# apt-get ARGUMENTS...: waits up to five minutes for another package manager to finish.
apt() {
    tries=60
    # The lock on the package lists, unlike dpkg's own, has no option to wait for it.
    while ! $as_root DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@" >"$log" 2>&1 </dev/null; do
        grep -q 'Could not get lock' "$log" && [ "$tries" -gt 0 ] || return 1
        [ "$tries" -lt 60 ] || say 'waiting for another package manager to finish'
        tries=$((tries - 1))
        sleep 5
    done
}
# shellcheck disable=SC2086 # the words of $missing are the arguments
install() { apt install -y --no-install-recommends $missing; }
fail() {
    grep -E '^(E|W|Err|dpkg):?' "$log" | head -n 3 >&2
    say "$1; what was tried (as root): $2"
    [ -n "$needed" ] || { say 'the tests that need it are left out'; exit 0; }
    exit 1
}

say "installing$missing"
# Package lists may be absent or too old to find the files they name: only then are new ones worth their time.
if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || ! install; then
    apt update || fail 'the package lists could not be fetched' 'apt-get update'
    # Lists that could not be fetched are only warnings to apt-get.
    why='the installation failed'
    ! grep -qE '^(W: Failed to fetch|Err:)' "$log" || why="$why, and package lists could not be fetched (is there a network?)"
    install || fail "$why" "$line"
fi
