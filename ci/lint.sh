#!/usr/bin/env bash
# Everything about the sources that needs no run: formatting, warnings, direction of includes, headers that compile alone,
# long files, shell scripts. CFLAGS and CXXFLAGS come from the Makefile. A tool that is absent is named and skipped; every
# finding is printed before the exit status says whether there was one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
findings=0
finding() { echo "lint: $*"; findings=$((findings + 1)); }
have() { command -v "$1" >/dev/null 2>&1 || { echo "lint: $1 is not installed, its checks are skipped ('ci/setup.sh lint' installs it)"; false; }; }

mapfile -t sources < <(git ls-files '*.c' '*.h' '*.cc')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
read -ra cflags <<<"${CFLAGS:--std=c11 -I. -D_GNU_SOURCE -Wall -Wextra}"
read -ra cxxflags <<<"${CXXFLAGS:--std=c++17 -I. -D_GNU_SOURCE -Wall -Wextra}"

# What a file of this folder may be compiled with; the Makefile says the same.
isa_flags() {
    case $1 in
    kernels/avx2/*) echo -mavx2 -mfma -mf16c ;;
    kernels/avx512/*) echo -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl ;;
    esac
}

if have clang-format; then
    clang-format --dry-run -Werror "${sources[@]}" || finding "formatting: run clang-format -i on the files above"
fi

while read -r line; do finding "an include that runs upward: $line"; done < <(
    git grep -nE '#include "(\.\./)*(harness|optimizer)/' -- kernels
    git grep -nE '#include "(\.\./)*harness/' -- optimizer
    git grep -nE '#include "\.\./' -- '*.c' '*.h' '*.cc'
)
while read -r line; do finding "the library prints, exits or reads the environment: $line"; done < <(
    git grep -nE '(^|[^a-z_])(printf|puts|putchar|perror|exit|abort|getenv)\(|stderr|stdout' -- \
        'kernels/*.[ch]' 'optimizer/*.[ch]' ':!*/tests/*' | grep -v '^kernels/cpu\.c:.*getenv' | grep -vE ':[0-9]+: *(/?\*|//)'
)

for source in "${sources[@]}"; do
    lines=$(wc -l <"$source")
    [ "$lines" -le 600 ] || finding "$source has $lines lines: one idea each, still?"
done

# Every file once more with each compiler, for warnings; a header on its own, so that it includes what it needs.
compilers=(gcc)
have clang && compilers+=(clang)
for compiler in "${compilers[@]}"; do
    for source in "${sources[@]}"; do
        [[ $source == */suites.h ]] && continue # a list that main.c expands
        read -ra isa <<<"$(isa_flags "$source")"
        command=("$compiler" "${cflags[@]}" ${isa[@]+"${isa[@]}"} -Werror -fsyntax-only)
        case $source in
        *.h) printf '#include "%s"\n' "$source" | "${command[@]}" -x c - ;;
        *.cc) "$compiler" "${cxxflags[@]}" -Werror -fsyntax-only "$source" ;;
        *) "${command[@]}" "$source" ;;
        esac || finding "$compiler: $source"
    done
done

if have shellcheck; then
    shellcheck "${scripts[@]}" || finding "shellcheck"
fi

echo "lint: $findings findings"
[ "$findings" = 0 ]
