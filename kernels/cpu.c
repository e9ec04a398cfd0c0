/* cpu.c - what this machine can run. On x86-64 the OS is asked through XGETBV whether it saves the wide registers before
 * CPUID's AVX bits are believed: a CPU may have AVX-512 and a kernel (or hypervisor) that does not preserve it. On aarch64
 * Linux says what it allows programs to use, in the auxiliary vector. */
#include "kernels/kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    XCR0_SSE_AVX = 0x6,   /* xmm and the upper halves of ymm */
    XCR0_AVX512 = 0xe0,   /* masks, upper halves of zmm 0-15, zmm 16-31 */
    XCR0_AMX = 0x3 << 17, /* tile configuration and tile data */
};

static uint32_t bit(uint32_t word, unsigned position)
{
    return word >> position & 1;
}

/* The state components that the OS saves (XCR0's low half). Only valid when CPUID says OSXSAVE. */
static uint32_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Linux lets a process use tile data, 8 KiB more in every signal frame, only after it has asked; the permission holds for
 * all its threads (Documentation/arch/x86/xstate.rst). */
static bool permit_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* The vendor's name stands in ebx, edx, ecx. */
static bool made_by_amd(void)
{
    uint32_t a, b, c, d;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
}

static uint32_t detect(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t avx_fma_f16c = bit(c, 28) & bit(c, 12) & bit(c, 29);
    if (!bit(c, 27) || !avx_fma_f16c) return 0; /* bit 27: OSXSAVE */
    const uint32_t xcr0 = read_xcr0();
    if ((xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !bit(b, 5)) return 0;
    uint32_t flags = CPU_AVX2;
    const uint32_t subleaves = a, ebx = b, ecx = c, edx = d;
    uint32_t extended = 0;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) extended = a;
    if (bit(extended, 4)) flags |= CPU_AVX_VNNI;
    const bool f_dq_bw_vl = bit(ebx, 16) && bit(ebx, 17) && bit(ebx, 30) && bit(ebx, 31);
    if ((xcr0 & XCR0_AVX512) == XCR0_AVX512 && f_dq_bw_vl) {
        flags |= CPU_AVX512;
        if (bit(ecx, 11)) flags |= CPU_AVX512_VNNI;
        if (bit(ecx, 1)) flags |= CPU_AVX512_VBMI;
        if (bit(edx, 23)) flags |= CPU_AVX512_FP16;
        if (bit(extended, 5)) flags |= CPU_AVX512_BF16 | (made_by_amd() ? CPU_AVX512_BF16_FAST : 0);
    }
    if ((xcr0 & XCR0_AMX) == XCR0_AMX && bit(edx, 24) && permit_tiles()) {
        flags |= CPU_AMX_TILE;
        if (bit(edx, 25)) flags |= CPU_AMX_INT8;
        if (bit(edx, 22)) flags |= CPU_AMX_BF16;
    }
    return flags;
}
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static uint32_t detect(void)
{
    const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    if (!(first & HWCAP_ASIMD)) return 0;
    uint32_t flags = CPU_NEON;
    if (first & HWCAP_ASIMDDP) flags |= CPU_NEON_DOTPROD;
    if (first & HWCAP_FPHP && first & HWCAP_ASIMDHP) flags |= CPU_NEON_FP16; /* scalars and vectors */
    if (second & HWCAP2_I8MM) flags |= CPU_NEON_I8MM;
    if (second & HWCAP2_BF16) flags |= CPU_NEON_BF16;
    return flags;
}
#else
static uint32_t detect(void)
{
    return 0;
}
#endif

uint32_t cpu_flags(void)
{
    /* Racing threads compute the same value, so no lock is needed; the top bit, which no flag uses, says "known". */
    static _Atomic uint32_t cached;
    const uint32_t known = 1u << 31;
    uint32_t flags = atomic_load_explicit(&cached, memory_order_relaxed);
    if (!(flags & known)) {
        flags = detect() | known;
        atomic_store_explicit(&cached, flags, memory_order_relaxed);
    }
    return flags & ~known;
}

static const struct {
    const char *name;
    uint32_t needs; /* all of these flags */
} rungs[KERNEL_ISAS] = {
    [KERNEL_ISA_C] = {"c", 0},
    [KERNEL_ISA_NEON] = {"neon", CPU_NEON},
    [KERNEL_ISA_AVX2] = {"avx2", CPU_AVX2},
    [KERNEL_ISA_AVX512] = {"avx512", CPU_AVX2 | CPU_AVX512},
    [KERNEL_ISA_AMX] = {"amx", CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AVX512_BF16 | CPU_AMX_TILE | CPU_AMX_INT8 |
                                   CPU_AMX_BF16},
};

uint32_t kernel_isa_missing(kernel_isa isa)
{
    return (unsigned)isa < KERNEL_ISAS ? rungs[isa].needs & ~cpu_flags() : 0;
}

bool kernel_isa_available(kernel_isa isa)
{
    return (unsigned)isa < KERNEL_ISAS && kernel_isa_missing(isa) == 0;
}

const char *kernel_isa_name(kernel_isa isa)
{
    return (unsigned)isa < KERNEL_ISAS ? rungs[isa].name : "unknown";
}

const char *kernel_isa_override(void)
{
    return getenv("CIUIC_ISA");
}

static bool find_rung(const char *name, kernel_isa *isa)
{
    for (int i = 0; i < KERNEL_ISAS; i++) {
        if (strcmp(name, rungs[i].name) == 0) {
            *isa = (kernel_isa)i;
            return true;
        }
    }
    return false;
}

kernel_isa kernel_isa_best(void)
{
    kernel_isa limit = (kernel_isa)(KERNEL_ISAS - 1);
    const char *override = kernel_isa_override();
    if (override) find_rung(override, &limit);
    int best = KERNEL_ISA_C;
    for (int i = KERNEL_ISA_C; i <= (int)limit; i++) {
        if (kernel_isa_available((kernel_isa)i)) best = i;
    }
    return (kernel_isa)best;
}

bool kernel_isa_parse(const char *name, kernel_isa *isa)
{
    if (strcmp(name, "best") == 0) {
        *isa = kernel_isa_best();
        return true;
    }
    return find_rung(name, isa);
}

const char *cpu_flag_name(uint32_t flag)
{
    switch (flag) {
    case CPU_AVX2:
        return "avx2";
    case CPU_AVX_VNNI:
        return "avx_vnni";
    case CPU_AVX512:
        return "avx512";
    case CPU_AVX512_VNNI:
        return "avx512_vnni";
    case CPU_AVX512_BF16:
        return "avx512_bf16";
    case CPU_AVX512_BF16_FAST:
        return "avx512_bf16_fast";
    case CPU_AVX512_VBMI:
        return "avx512_vbmi";
    case CPU_AVX512_FP16:
        return "avx512_fp16";
    case CPU_AMX_TILE:
        return "amx_tile";
    case CPU_AMX_INT8:
        return "amx_int8";
    case CPU_AMX_BF16:
        return "amx_bf16";
    case CPU_NEON:
        return "neon";
    case CPU_NEON_DOTPROD:
        return "neon_dotprod";
    case CPU_NEON_I8MM:
        return "neon_i8mm";
    case CPU_NEON_FP16:
        return "neon_fp16";
    case CPU_NEON_BF16:
        return "neon_bf16";
    default:
        return NULL;
    }
}
