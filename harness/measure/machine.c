/* machine.c - see machine.h. Everything here is read from /proc, /sys and CPUID; what is not there is null. */
#include "harness/measure/machine.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "harness/measure/counters.h"
#include "harness/measure/energy.h"
#include "harness/measure/machine_state.h"
#include "harness/measure/memory.h"
#include "harness/suite/matrix.h"
#include "harness/version.h"
#include "harness/worker/onednn.h"
#include "harness/worker/openblas.h"
#include "kernels/ceiling.h"
#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { LINE = 256, PATH = 1024 };

/* The first line of `path` without its newline; false when there is none. */
static bool first_line(const char *path, char line[LINE])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    const bool found = fgets(line, LINE, file) != NULL;
    fclose(file);
    if (found) line[strcspn(line, "\n")] = '\0';
    return found;
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

static void add_cpu_name(cJSON *machine)
{
    char line[LINE], name[LINE] = "";
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && name[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        snprintf(name, sizeof name, "%s", colon + 1 + strspn(colon + 1, " \t"));
        name[strcspn(name, "\n")] = '\0';
    }
    if (file != NULL) fclose(file);
    add_text(machine, "cpu", name);
}

/* What CPUID calls the hypervisor ("KVMKVMKVM"); empty on bare metal. */
static void find_hypervisor(char name[16])
{
    name[0] = '\0';
#if defined(__x86_64__) || defined(__i386__)
    unsigned int a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (1u << 31)) == 0) return;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(name, &b, 4);
    memcpy(name + 4, &c, 4);
    memcpy(name + 8, &d, 4);
    name[12] = '\0';
    for (char *p = name; *p != '\0'; p++)
        if (*p < ' ' || *p > '~') *p = '?';
    if (name[0] == '\0') snprintf(name, 16, "unnamed");
#endif
}

/* ---- caches ----------------------------------------------------------------------------------------------------- */

typedef struct cache {
    int level;
    size_t bytes;
    char type[LINE], shared[LINE];
} cache;

static bool cache_line(const char *root, int cpu, int index, const char *name, char line[LINE])
{
    char path[PATH];
    const int length =
        snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/cache/index%d/%s", root, cpu, index, name);
    return length < PATH && first_line(path, line);
}

static bool read_cache(const char *root, int cpu, int index, cache *c)
{
    char line[LINE];
    unsigned long long size = 0;
    char unit = ' ';
    if (!cache_line(root, cpu, index, "level", line)) return false;
    c->level = atoi(line);
    if (!cache_line(root, cpu, index, "type", c->type)) return false;
    if (!cache_line(root, cpu, index, "size", line) || sscanf(line, "%llu%c", &size, &unit) < 1) return false;
    c->bytes = (size_t)size * (unit == 'K' ? 1024u : unit == 'M' ? 1024u * 1024u : 1u);
    /* Cut where it is long: lists of two instances differ in the first CPU. */
    if (!cache_line(root, cpu, index, "shared_cpu_list", c->shared)) c->shared[0] = '\0';
    return true;
}

typedef struct cache_instances {
    cache *list;
    size_t count;
} cache_instances;

static bool is_known(const cache_instances *known, const cache *c)
{
    for (size_t i = known->count; i-- > 0;) /* neighbours share */
        if (known->list[i].level == c->level && strcmp(known->list[i].shared, c->shared) == 0) return true;
    return false;
}

static ciuic_status add_instances(const char *root, int cpu, cache_instances *known)
{
    cache c;
    for (int i = 0; read_cache(root, cpu, i, &c); i++) {
        if (strcmp(c.type, "Instruction") == 0 || is_known(known, &c)) continue;
        cache *grown = reallocarray(known->list, known->count + 1, sizeof *grown);
        if (grown == NULL) return ciuic_fail_memory("caches", (known->count + 1) * sizeof *grown);
        known->list = grown;
        known->list[known->count++] = c;
    }
    return CIUIC_OK;
}

static size_t bytes_of_level(const cache_instances *known, int level)
{
    size_t bytes = 0;
    for (size_t i = 0; i < known->count; i++)
        if (known->list[i].level == level) bytes += known->list[i].bytes;
    return bytes;
}

ciuic_status machine_cache_bytes(const char *root, const cpu_set_t *cpus, size_t *bytes)
{
    enum { LEVELS = 8 }; /* no kernel names more */
    cache_instances known = {.list = NULL};
    ciuic_status status = CIUIC_OK;
    *bytes = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && status == CIUIC_OK; cpu++)
        if (CPU_ISSET((size_t)cpu, cpus)) status = add_instances(root, cpu, &known);
    for (int level = 1; level <= LEVELS && status == CIUIC_OK; level++) {
        const size_t held = bytes_of_level(&known, level);
        if (held > *bytes) *bytes = held;
    }
    free(known.list);
    return status;
}

static void add_caches(cJSON *machine)
{
    cJSON *list = cJSON_AddArrayToObject(machine, "caches");
    cache c;
    for (int i = 0; list != NULL && read_cache("", 0, i, &c); i++) {
        cJSON *item = cJSON_CreateObject();
        json_add_size(item, "level", (size_t)c.level);
        cJSON_AddStringToObject(item, "type", c.type);
        json_add_size(item, "bytes", c.bytes);
        cJSON_AddItemToArray(list, item);
    }
}

/* ---- warnings --------------------------------------------------------------------------------------------------- */

static void warn(cJSON *warnings, const char *text)
{
    cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
}

static void warn_about_speed(cJSON *warnings, const cJSON *machine)
{
    if (json_find(machine, "hypervisor") != NULL)
        warn(warnings,
             "this is a virtual machine: neighbours may slow it down at any time and hardware counters may be "
             "missing; trust ratios within a round more than seconds");
    if (kernel_isa_override() != NULL)
        warn(warnings, "CIUIC_ISA is set: \"best\" kernels are not this machine's best; unset it for real figures");
#if defined(__SANITIZE_ADDRESS__)
    warn(warnings, "this program was built with sanitizers: its times mean nothing; build without SANITIZE=1");
#endif
}

static void warn_about_memory(cJSON *warnings)
{
    process_memory memory;
    if (!memory_read(&memory)) warn(warnings, "/proc/self/status does not give VmHWM: no peak memory; mount /proc");
}

/* ---- the record ------------------------------------------------------------------------------------------------- */

static void add_isas(cJSON *machine)
{
    cJSON *flags = cJSON_AddArrayToObject(machine, "flags"), *isas = cJSON_AddArrayToObject(machine, "isa");
    const uint32_t have = cpu_flags();
    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = (have >> bit & 1u) != 0 ? cpu_flag_name(1u << bit) : NULL;
        if (name != NULL) cJSON_AddItemToArray(flags, cJSON_CreateString(name));
    }
    for (int isa = 0; isa < KERNEL_ISAS; isa++)
        if (kernel_isa_available((kernel_isa)isa))
            cJSON_AddItemToArray(isas, cJSON_CreateString(kernel_isa_name((kernel_isa)isa)));
}

static double add_load_average(cJSON *machine)
{
    double loads[3] = {0};
    if (getloadavg(loads, 3) != 3) {
        cJSON_AddNullToObject(machine, "load_average");
        return 0;
    }
    cJSON *list = cJSON_AddArrayToObject(machine, "load_average");
    for (int i = 0; i < 3; i++) cJSON_AddItemToArray(list, json_double(loads[i]));
    return loads[0];
}

static void add_counters(cJSON *machine)
{
    counter_support support;
    counters_probe(&support);
    cJSON *object = cJSON_AddObjectToObject(machine, "counters");
    if (support.source == COUNTERS_NONE) {
        cJSON_AddNullToObject(object, "source");
        cJSON_AddStringToObject(object, "reason", support.reason);
    } else {
        cJSON_AddStringToObject(object, "source", counter_source_name(support.source));
    }
    energy_meter meter;
    energy_open(&meter, "");
    cJSON *energy = cJSON_AddObjectToObject(machine, "energy");
    if (meter.count == 0) {
        cJSON_AddNullToObject(energy, "source");
        cJSON_AddStringToObject(energy, "reason", meter.reason);
    } else {
        cJSON_AddStringToObject(energy, "source", "powercap");
    }
}

cJSON *machine_describe(void)
{
    cJSON *machine = cJSON_CreateObject();
    if (machine == NULL) return NULL;
    struct utsname system;
    char hypervisor[16], kernel[LINE] = "";
    if (uname(&system) == 0)
        snprintf(kernel, sizeof kernel, "%.60s %.100s %.40s", system.sysname, system.release, system.machine);
    find_hypervisor(hypervisor);
    add_cpu_name(machine);
    json_add_size(machine, "cores", (size_t)sysconf(_SC_NPROCESSORS_ONLN));
    json_add_size(machine, "threads", (size_t)machine_threads());
    json_add_size(machine, "memory_bytes", memory_physical());
    add_text(machine, "kernel", kernel);
    cJSON_AddStringToObject(machine, "compiler", program_compiler());
    add_isas(machine);
    add_caches(machine);
    const double load = add_load_average(machine);
    bool complete = machine_state_add(machine, "");
    add_text(machine, "hypervisor", hypervisor);
    add_text(machine, "openblas", openblas_describe());
    add_text(machine, "onednn", onednn_describe());
    add_counters(machine);
    cJSON *warnings = cJSON_AddArrayToObject(machine, "warnings");
    warn_about_speed(warnings, machine);
    warn_about_memory(warnings);
    complete = complete && machine_state_warn(machine, machine_threads(), load, warnings);
    if (complete) return machine;
    cJSON_Delete(machine);
    return NULL;
}

/* ---- what physics allows ---------------------------------------------------------------------------------------- */

/* The member object `key`, made where it is missing. */
static cJSON *object_of(cJSON *parent, const char *key)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(parent, key);
    return object != NULL ? object : cJSON_AddObjectToObject(parent, key);
}

/* Keeps the higher of what is there for this number of threads and `value`: a disturbance only ever lowers it. */
static void raise_to(cJSON *by_threads, int threads, double value)
{
    char name[16];
    snprintf(name, sizeof name, "%d", threads);
    const cJSON *known = json_find(by_threads, name);
    if (cJSON_IsNumber(known) && known->valuedouble >= value) return;
    if (known != NULL) /* in its place: fewer threads come first */
        cJSON_ReplaceItemInObjectCaseSensitive(by_threads, name, cJSON_CreateNumber(value));
    else
        cJSON_AddNumberToObject(by_threads, name, value);
}

void machine_raise_bandwidth(cJSON *machine, kernel_isa isa, int threads, double value)
{
    char name[16];
    cJSON *figures = object_of(machine, "bandwidth_bytes_per_s");
    for (int other = 0; other < KERNEL_ISAS; other++)
        if (kernel_isa_available((kernel_isa)other) && ceiling_loads_of((kernel_isa)other) == ceiling_loads_of(isa))
            raise_to(object_of(object_of(machine, "bandwidth_by_isa_bytes_per_s"), kernel_isa_name((kernel_isa)other)),
                     threads, value);
    raise_to(figures, threads, value);
    snprintf(name, sizeof name, "%d", threads);
    const cJSON *best = json_find(figures, name);
    cJSON *checked = cJSON_GetObjectItemCaseSensitive(json_find(json_find(machine, "cross_check"), "bandwidth"), name);
    if (!cJSON_IsObject(checked) || !cJSON_IsNumber(best)) return;
    cJSON_DeleteItemFromObjectCaseSensitive(checked, "own");
    cJSON_AddNumberToObject(checked, "own", best->valuedouble); /* alike in print, too */
}

/* False when there is no buffer. */
static bool measure_bandwidth(cJSON *machine, int threads, size_t buffer)
{
    double by_isa[KERNEL_ISAS];
    ceiling_bandwidth_by_isa(threads, buffer, 0.04, by_isa);
    for (int isa = 0; isa < KERNEL_ISAS; isa++)
        if (by_isa[isa] > 0) machine_raise_bandwidth(machine, (kernel_isa)isa, threads, by_isa[isa]);
    return by_isa[KERNEL_ISA_C] > 0;
}

typedef double peak_fn(kernel_isa isa, int threads, double seconds);

/* {"c": {"1":, "2":}, ...}; a rung that has no such arithmetic is left out. */
static void add_peaks(cJSON *machine, const char *key, peak_fn *peak, int threads)
{
    cJSON *object = object_of(machine, key);
    for (int isa = 0; isa < KERNEL_ISAS; isa++) {
        if (!kernel_isa_available((kernel_isa)isa)) continue;
        const double one = peak((kernel_isa)isa, 1, 0.04);
        if (!(one > 0)) continue;
        cJSON *by_threads = object_of(object, kernel_isa_name((kernel_isa)isa));
        raise_to(by_threads, 1, one);
        if (threads == 1) continue;
        raise_to(by_threads, threads, peak((kernel_isa)isa, threads, 0.04));
        raise_to(by_threads, threads, json_number(by_threads, "1")); /* all of them can do what one does */
    }
}

/* All threads read one buffer, and each through the caches of where it runs: it must be larger than all of them together. */
static ciuic_status choose_buffer(size_t *buffer)
{
    cpu_set_t cpus;
    size_t cached = 0;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) {
        CPU_ZERO(&cpus);
        CPU_SET(0, &cpus);
    }
    CIUIC_TRY(machine_cache_bytes("", &cpus, &cached));
    *buffer = cached > 0 ? 4 * cached : (size_t)128 << 20;
    return CIUIC_OK;
}

/* The kernel gives out more than there is, and kills who writes to it. */
static ciuic_status check_memory(const cJSON *machine, size_t buffer)
{
    const double memory = json_number(machine, "memory_bytes"),
                 allowed = json_number(json_find(machine, "cgroup"), "memory_max_bytes");
    const double least = fmin(memory > 0 ? memory : INFINITY, allowed); /* a NaN is no limit */
    if (!((double)buffer > least)) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_UNSUPPORTED,
        "the memory bandwidth over %zu bytes, four times the caches of the CPUs that this may use, cannot be "
        "measured: not enough memory, found %.0f bytes; allow it more, or fewer CPUs",
        buffer, least);
}

ciuic_status machine_measure(cJSON *machine, int threads)
{
    size_t buffer = 0;
    CIUIC_TRY(choose_buffer(&buffer));
    CIUIC_TRY(check_memory(machine, buffer));
    for (int i = 0; i < 3; i++) { /* several short tries, since a disturbance lasts longer than a pass */
        if (!measure_bandwidth(machine, 1, buffer) || (threads > 1 && !measure_bandwidth(machine, threads, buffer)))
            return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                              "the memory bandwidth over %zu bytes cannot be measured: not enough memory", buffer);
        add_peaks(machine, "peak_flops_per_s", ceiling_fma_peak, threads);
        add_peaks(machine, "peak_bf16_ops_per_s", ceiling_bf16_peak, threads);
        add_peaks(machine, "peak_int8_ops_per_s", ceiling_dot_peak, threads);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(machine, "bandwidth_buffer_bytes");
    json_add_size(machine, "bandwidth_buffer_bytes", buffer);
    return CIUIC_OK;
}

double machine_stolen_s(void)
{
    unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) return 0;
    const int fields = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                              &iowait, &irq, &softirq, &steal);
    fclose(file);
    const long ticks = sysconf(_SC_CLK_TCK);
    return fields == 8 && ticks > 0 ? (double)steal / (double)ticks : 0;
}
