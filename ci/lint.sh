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
export CFLAGS=${CFLAGS:--std=c11 -I. -D_GNU_SOURCE -Wall -Wextra} CXXFLAGS=${CXXFLAGS:--std=c++17 -I. -D_GNU_SOURCE -Wall -Wextra}

# What a file of this folder may be compiled with; the Makefile says the same.
isa_flags() {
    case $1 in
    kernels/avx2/*) echo -mavx2 -mfma -mf16c ;;
    kernels/avx512/*) echo -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl ;;
    kernels/amx/tile_model.h) echo -DCIUIC_TILES_MODELLED ;;
    kernels/amx/*) echo -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16 ;;
    kernels/neon/*_dotprod.c | kernels/neon/dot_product.h) echo -march=armv8.2-a+dotprod ;;
    kernels/neon/*_i8mm.c) echo -march=armv8.2-a+dotprod+i8mm ;;
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
    [ "$lines" -le 600 ] || echo "lint: note: $source has $lines lines; one idea each, still?"
done

# compile COMPILER SOURCE: once more, for warnings; a header on its own, so that it includes what it needs.
compile() {
    local command=("$1" -Werror -fsyntax-only) cflags cxxflags isa
    read -ra cflags <<<"$CFLAGS"
    read -ra cxxflags <<<"$CXXFLAGS"
    read -ra isa <<<"$(isa_flags "$2")"
    # Another machine's instruction set: for neon there is a cross compiler, whose headers clang finds, too.
    case $machine:$2 in
    x86_64*:kernels/avx* | x86_64*:kernels/amx/* | aarch64*:kernels/neon/*) ;;
    *:kernels/neon/*)
        [ -n "$cross" ] || return 0
        case $1 in
        gcc) command[0]=$cross ;;
        *) command+=(--target=aarch64-linux-gnu) ;;
        esac
        ;;
    *:kernels/avx* | *:kernels/amx/*) return 0 ;;
    esac
    case $2 in
    */suites.h) return 0 ;;       # a list that main.c expands
    kernels/simd/*.h) return 0 ;; # templates: a rung's file completes them, and they are compiled there
    *.h) printf '#include "%s"\n' "$2" | "${command[@]}" "${cflags[@]}" ${isa[@]+"${isa[@]}"} -x c - ;;
    *.cc) "${command[@]}" "${cxxflags[@]}" "$2" ;;
    *) "${command[@]}" "${cflags[@]}" ${isa[@]+"${isa[@]}"} "$2" ;;
    esac || { echo "lint: $1: $2"; return 1; }
}
export -f compile isa_flags
machine=$(gcc -dumpmachine)
cross=
case $machine in
aarch64*) ;;
*) if have aarch64-linux-gnu-gcc; then cross=aarch64-linux-gnu-gcc; fi ;;
esac
export machine cross
compilers=(gcc)
have clang && compilers+=(clang)
for compiler in "${compilers[@]}"; do
    printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I '{}' bash -c 'compile "$@"' _ "$compiler" '{}' ||
        finding "$compiler: the files above"
done

if have shellcheck; then
    shellcheck "${scripts[@]}" || finding "shellcheck"
fi

echo "lint: $findings findings"
[ "$findings" = 0 ]
