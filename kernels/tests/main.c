/* check-kernels - every kernel of every rung against its definition in double and against the portable rung; only when
 * all of that passed, and with --bench, their speed. */
#include "kernels/tests/check.h"
#if defined(__x86_64__)
#include "kernels/amx/kernels_amx.h"
#include "kernels/avx2/kernels_avx2.h"
#endif

#include <time.h>

static const char usage[] =
    "usage: check-kernels [--isa LIST] [--kernel PATTERN] [--bench] [--threads N]\n"
    "                     [--shape MxNxK] [--seed S] [--json]\n"
    "  --isa LIST        rungs to check, comma-separated: c,neon,avx2,avx512,amx (default: "
    "all; one that this CPU lacks is skipped);\n"
    "                    amx-modelled: amx with its tile instructions modelled in C, wherever "
    "avx512 runs\n"
    "  --kernel PATTERN  only kernels whose name contains PATTERN\n"
    "  --bench           time them afterwards, if every check passed; under an emulator such as "
    "qemu times mean nothing\n"
    "  --threads N       threads of the bench (default 1)\n"
    "  --shape MxNxK     bench M rows of x by N rows of K weights instead of shapes of DeepSeek "
    "models\n"
    "  --seed S          seed of the random inputs (default: the clock)\n"
    "  --json            one JSON object on stdout and nothing else\n"
    "example: check-kernels --isa avx512 --kernel matmul --bench\n";

typedef struct settings {
    bool isa[KERNEL_ISAS];
    bool amx_modelled;
    const char *pattern;
    uint64_t seed;
    bool bench, json;
    int threads; /* of the bench */
    bool has_shape;
    bench_product shape;
} settings;

static bool parse_isas(const char *list, settings *s)
{
    char copy[64];
    if (strlen(list) >= sizeof copy) return false;
    strcpy(copy, list);
    memset(s->isa, 0, sizeof s->isa);
    s->amx_modelled = false;
    char *rest = copy;
    for (const char *name; (name = strsep(&rest, ","));) {
        kernel_isa rung;
        if (strcmp(name, "amx-modelled") == 0)
            s->amx_modelled = true;
        else if (kernel_isa_parse(name, &rung))
            s->isa[rung] = true;
        else
            return false;
    }
    return true;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    char *end;
    *seed = strtoull(text, &end, 0);
    return *text && *text != '-' && !*end;
}

static bool parse_shape(const char *text, settings *s)
{
    size_t size[3];
    for (int i = 0; i < 3; i++) {
        char *end;
        const unsigned long long n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || n == 0 || n > 1 << 20 || *end != (i < 2 ? 'x' : 0)) return false;
        size[i] = (size_t)n;
        text = end + 1;
    }
    s->shape = (bench_product){size[0], size[1], size[2]};
    return s->has_shape = true;
}

static bool parse_arguments(int argc, char **argv, settings *s)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = true;
        if (strcmp(option, "--bench") == 0)
            s->bench = true;
        else if (strcmp(option, "--json") == 0)
            s->json = true;
        else if (strcmp(option, "--isa") == 0)
            good = value && parse_isas(value, s), i++;
        else if (strcmp(option, "--kernel") == 0)
            good = value != NULL, s->pattern = value, i++;
        else if (strcmp(option, "--threads") == 0)
            good = value && (s->threads = atoi(value)) > 0 && s->threads <= 1024, i++;
        else if (strcmp(option, "--shape") == 0)
            good = value && parse_shape(value, s), i++;
        else if (strcmp(option, "--seed") == 0)
            good = value && parse_seed(value, &s->seed), i++;
        else
            good = false;
        if (!good) {
            fprintf(stderr, "check-kernels: %s %s is not understood; see --help\n%s", option, value ? value : "",
                    usage);
            return false;
        }
    }
    return true;
}

typedef struct totals {
    size_t passed, failed, skipped;
} totals;

static void report(const check *c, bool json, bool first)
{
    const bool failed = c->failures > 0;
    if (json) {
        printf("%s\n    {\"kernel\": \"%s\", \"isa\": \"%s\", \"shapes\": %zu, \"error_over_tolerance\": %.4g, "
               "\"shape\": \"%s\", "
               "\"status\": \"%s\", \"reason\": \"%s\"}",
               first ? "" : ",", c->kernel, c->rung, c->calls, c->worst, c->worst_shape, failed ? "failed" : "passed",
               c->complaint);
        return;
    }
    printf("%-18s %-14s %4zu shapes  error/tolerance %-8.3g %-44s %s\n", c->kernel, c->rung, c->calls, c->worst,
           c->worst_shape, failed ? "FAIL" : "PASS");
    if (failed) printf("    %s: %s (%zu failures)\n", c->worst_shape, c->complaint, c->failures);
    fflush(stdout);
}

/* A crash inside a kernel fails the check and ends it: what it left behind is not worth comparing. */
static void run_check(const check_entry *entry, check *c)
{
    const int number = sigsetjmp(check_jump, 1);
    if (number == 0)
        entry->run(c);
    else
        check_fail(c, "crashed: %s", strsignal(number));
    check_release(c);
}

static void check_table(const kernel_table *table, const char *rung, const char *pattern, const settings *s, totals *t)
{
    static const check_entry *const groups[] = {matmul_checks,  weight_checks, elementwise_checks,    norm_checks,
                                                routing_checks, conv2d_checks, conv2d_blocked_checks, attention_checks};
    kernel_table reference;
    kernel_table_fill(&reference, KERNEL_ISA_C);
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const check_entry *e = groups[g]; e->kernel; e++) {
            if (!strstr(e->kernel, s->pattern) || !strstr(e->kernel, pattern)) continue;
            check c = {.kernel = e->kernel, .rung = rung, .table = table, .reference = &reference, .random = s->seed};
            run_check(e, &c);
            report(&c, s->json, t->passed + t->failed == 0);
            *(c.failures ? &t->failed : &t->passed) += 1;
        }
    }
}

/* The flags in words, comma-separated. */
static void name_flags(uint32_t flags, char *out, size_t size)
{
    size_t used = 0;
    *out = 0;
    for (uint32_t flag = 1; flag; flag <<= 1) {
        if (!(flags & flag) || !cpu_flag_name(flag) || used >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", cpu_flag_name(flag));
    }
}

static void skip_rung(const char *rung, uint32_t missing, totals *t)
{
    char names[160];
    name_flags(missing, names, sizeof names);
    fprintf(stderr, "check-kernels: SKIPPED rung %s: this CPU or its operating system lacks %s\n", rung, names);
    t->skipped++;
}

#if defined(__x86_64__)
/* The avx2 rung's integer products as a CPU without AVX-VNNI runs them and as one with it does: one of the two is in the
 * rung's table here. Where that is not AVX-VNNI, its kernels are checked with AVX-512's form of the instruction, if that is
 * there. */
static void check_avx_vnni(const settings *s, totals *t)
{
    kernel_table table;
    static const char *const kernels[] = {"matmul_int8", "matmul_int4", "matmul_int3", "matmul_int5", "matmul_int6"};
    bool any = false;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) any = any || strstr(kernels[i], s->pattern);
    if (!any) return;
    if (cpu_flags() & CPU_AVX_VNNI) {
        kernel_table_fill_for(&table, KERNEL_ISA_AVX2, cpu_flags() & ~(uint32_t)CPU_AVX_VNNI);
        check_table(&table, "avx2-no-vnni", "matmul_int", s, t);
        return;
    }
    skip_rung("avx2 with AVX-VNNI", CPU_AVX_VNNI, t);
    if (!(cpu_flags() & CPU_AVX512) || !(cpu_flags() & CPU_AVX512_VNNI)) return;
    fprintf(stderr,
            "check-kernels: avx2-evex: its kernels with AVX-512's form of vpdpbusd: this proves what they compute, "
            "not AVX-VNNI's own form of it, nor any speed\n");
    kernel_table_fill(&table, KERNEL_ISA_AVX2);
    table.matmul_q8[KERNEL_INT8] = matmul_int8_avx_vnni_evex;
    table.matmul_q8[KERNEL_INT4] = matmul_int4_avx_vnni_evex;
    table.matmul_q8[KERNEL_INT3] = matmul_int3_avx_vnni_evex;
    table.matmul_q8[KERNEL_INT5] = matmul_int5_avx_vnni_evex;
    table.matmul_q8[KERNEL_INT6] = matmul_int6_avx_vnni_evex;
    check_table(&table, "avx2-evex", "matmul_int", s, t);
}
#endif

#if defined(__x86_64__)
/* What other CPUs with AVX-512 would run is not in this one's table: a Skylake, without its newer instructions, a Cascade
 * Lake, without byte permutations, an Ice Lake, without bfloat16 products, and those on which they are fast. */
static void check_other_avx512(const settings *s, totals *t)
{
    static const struct {
        const char *name;
        uint32_t lacks;
        const char *kernels[4];
    } others[] = {
        {"avx512-plain",
         CPU_AVX512_VNNI | CPU_AVX512_BF16 | CPU_AVX512_VBMI,
         {"matmul_int", "matmul_bf16", "matmul_f8"}},
        {"avx512-no-vbmi", CPU_AVX512_VBMI, {"matmul_f8"}},
        {"avx512-no-bf16", CPU_AVX512_BF16, {"matmul_f8"}},
    };
    kernel_table table;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!(cpu_flags() & others[i].lacks)) continue;
        uint32_t cpu = cpu_flags() & ~others[i].lacks;
        if (!(cpu & CPU_AVX512_BF16)) cpu &= ~(uint32_t)CPU_AVX512_BF16_FAST;
        kernel_table_fill_for(&table, KERNEL_ISA_AVX512, cpu);
        for (size_t k = 0; others[i].kernels[k]; k++) check_table(&table, others[i].name, others[i].kernels[k], s, t);
    }
    if (!(cpu_flags() & CPU_AVX512_BF16) || cpu_flags() & CPU_AVX512_BF16_FAST) return;
    kernel_table_fill_for(&table, KERNEL_ISA_AVX512, cpu_flags() | CPU_AVX512_BF16_FAST);
    check_table(&table, "avx512-bf16", "matmul_f8", s, t);
    check_table(&table, "avx512-bf16", "matmul_bf16", s, t);
}
#endif

static void check_rung(kernel_isa isa, const settings *s, totals *t)
{
    kernel_table table;
    kernel_table_fill(&table, isa);
    check_table(&table, kernel_isa_name(isa), "", s, t);
#if defined(__x86_64__)
    if (isa == KERNEL_ISA_AVX2) check_avx_vnni(s, t);
    if (isa == KERNEL_ISA_AVX512) check_other_avx512(s, t);
#elif defined(__aarch64__)
    /* Likewise what CPUs without its newer instructions would run. */
    if (isa == KERNEL_ISA_NEON && cpu_flags() & CPU_NEON_I8MM) {
        kernel_table_fill_for(&table, isa, cpu_flags() & ~(uint32_t)CPU_NEON_I8MM);
        check_table(&table, "neon-dotprod", "matmul_int", s, t);
    }
    if (isa == KERNEL_ISA_NEON && cpu_flags() & CPU_NEON_DOTPROD) {
        kernel_table_fill_for(&table, isa, CPU_NEON);
        check_table(&table, "neon-plain", "matmul_int", s, t);
    }
#endif
}

/* The amx rung's own kernels over a model of its instructions. */
static void check_amx_modelled(const settings *s, totals *t)
{
    static const char rung[] = "amx-modelled";
    if (!kernel_isa_available(KERNEL_ISA_AVX512)) {
        skip_rung(rung, kernel_isa_missing(KERNEL_ISA_AVX512), t);
        return;
    }
#if defined(__x86_64__)
    kernel_table table;
    kernel_table_fill(&table, KERNEL_ISA_AVX512);
    kernel_table_init_amx_modelled(&table, CPU_AVX512 | CPU_AMX_TILE | CPU_AMX_INT8 | CPU_AMX_BF16);
    fprintf(stderr,
            "check-kernels: %s: tile instructions modelled in C: this proves what the amx kernels compute and how "
            "they pack, not the instructions themselves, nor any speed\n",
            rung);
    static const char *const kernels[] = {"matmul_bf16", "matmul_int8", "matmul_int4",
                                          "matmul_int3", "matmul_int5", "matmul_int6"};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) check_table(&table, rung, kernels[i], s, t);
#else
    (void)s;
#endif
}

int main(int argc, char **argv)
{
    settings s = {.pattern = "", .threads = 1, .amx_modelled = true, .seed = (uint64_t)time(NULL)};
    memset(s.isa, 1, sizeof s.isa);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!parse_arguments(argc, argv, &s)) return 2;
    totals t = {0};
    if (s.json)
        printf("{\"seed\": %llu, \"checks\": [", (unsigned long long)s.seed);
    else
        printf("seed %llu\n", (unsigned long long)s.seed);
    for (int isa = 0; isa < KERNEL_ISAS; isa++) {
        if (!s.isa[isa]) continue;
        if (kernel_isa_available((kernel_isa)isa)) {
            check_rung((kernel_isa)isa, &s, &t);
            continue;
        }
        skip_rung(kernel_isa_name((kernel_isa)isa), kernel_isa_missing((kernel_isa)isa), &t);
    }
    if (s.amx_modelled) check_amx_modelled(&s, &t);
    if (t.passed + t.failed + t.skipped == 0) {
        fprintf(stderr, "check-kernels: no kernel's name contains '%s'; try --kernel matmul\n", s.pattern);
        return 2;
    }
    if (s.json) printf("],\n  \"passed\": %zu, \"failed\": %zu, \"skipped\": %zu", t.passed, t.failed, t.skipped);
    for (int isa = 0; isa < KERNEL_ISAS && s.bench && t.failed == 0; isa++) {
        if (!s.isa[isa] || !kernel_isa_available((kernel_isa)isa)) continue;
        kernel_table table;
        kernel_table_fill(&table, (kernel_isa)isa);
        if (!bench_rung(&table, s.pattern, s.threads, s.has_shape ? &s.shape : NULL, s.json)) t.failed++;
        bench_activations(&table, s.pattern, s.json);
        bench_conv2d(&table, s.pattern, s.json);
    }
    if (s.json)
        printf("}\n");
    else if (t.skipped)
        printf("%zu passed, %zu failed, %zu skipped\n", t.passed, t.failed, t.skipped);
    else
        printf("%zu passed, %zu failed\n", t.passed, t.failed);
    return t.failed ? 1 : 0;
}
