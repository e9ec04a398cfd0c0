/* test_machine_state.c - what is read of a machine below a folder that stands for it, hostile files among them; the warnings that
 * follow; and likwid-bench, good and bad. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/measure/energy.h"
#include "harness/measure/likwid_bench.h"
#include "harness/measure/machine.h"
#include "harness/measure/machine_state.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

#define CPU0 "/sys/devices/system/cpu/cpu0"
#define FREQUENCY CPU0 "/cpufreq"

typedef struct file {
    const char *path, *text;
} file;

enum { FILES_MAX = 6 };

static void put_file(const temporary_folder *root, const file *f)
{
    char path[2 * TEST_PATH];
    snprintf(path, sizeof path, "%s%s", root->path, f->path);
    for (char *c = path + strlen(root->path) + 1; *c != '\0'; c++) {
        if (*c != '/') continue;
        *c = '\0';
        mkdir(path, 0777);
        *c = '/';
    }
    write_bytes(path, f->text, strlen(f->text));
}

/* The machine record of these files, as it reads back. */
static cJSON *record_of(const file files[FILES_MAX], const char *more)
{
    temporary_folder root;
    temporary_folder_create(&root);
    for (int i = 0; i < FILES_MAX && files[i].path != NULL; i++) put_file(&root, &files[i]);
    cJSON *machine = cJSON_Parse(more);
    CHECK(machine_state_add(machine, root.path), "out of memory");
    char *text = cJSON_PrintUnformatted(machine);
    cJSON_Delete(machine);
    machine = cJSON_Parse(text);
    cJSON_free(text);
    temporary_folder_remove(&root);
    return machine;
}

/* The member "frequency.driver" printed; "absent". */
static void member_text(const cJSON *machine, const char *path, char text[128])
{
    char key[64];
    const cJSON *at = machine;
    snprintf(text, 128, "absent");
    for (const char *part = path; part != NULL && at != NULL;
         part = strchr(part, '.') != NULL ? strchr(part, '.') + 1 : NULL) {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(part, "."), part);
        at = cJSON_GetObjectItemCaseSensitive(at, key);
    }
    char *printed = at != NULL ? cJSON_PrintUnformatted(at) : NULL;
    if (printed != NULL) snprintf(text, 128, "%s", printed);
    cJSON_free(printed);
}

static const struct {
    file files[FILES_MAX];
    const char *path, *value;
} readings[] = {
    {{{"/proc/cpuinfo", "processor\t: 0\nmodel name\t: X\nmicrocode\t: 0xa101148\n"}}, "microcode", "\"0xa101148\""},
    {{{"/proc/cpuinfo", "processor\t: 0\n"}}, "unread.microcode", "\"/proc/cpuinfo: no sound value in it\""},
    {{{NULL, NULL}}, "microcode", "null"},
    {{{NULL, NULL}}, "unread.microcode", "\"/proc/cpuinfo: No such file or directory\""},
    {{{FREQUENCY "/scaling_governor", "powersave\n"}}, "governor", "\"powersave\""},
    {{{FREQUENCY "/scaling_governor", ""}}, "governor", "null"},
    {{{FREQUENCY "/scaling_governor", "per\x1b[31m\xff\n"}}, "governor", "\"per?[31m?\""},
    {{{FREQUENCY "/cpuinfo_max_freq", "3700000\n"}}, "frequency.max_hz", "3700000000"},
    {{{FREQUENCY "/cpuinfo_max_freq", "fast\n"}}, "frequency.max_hz", "null"},
    {{{FREQUENCY "/cpuinfo_max_freq", "99999999999999999999999\n"}}, "frequency.max_hz", "null"},
    {{{FREQUENCY "/cpuinfo_max_freq", "-1\n"}},
     "unread.max_hz",
     "\"" FREQUENCY "/cpuinfo_max_freq: no sound value in it\""},
    {{{"/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"}}, "frequency.turbo", "false"},
    {{{"/sys/devices/system/cpu/cpufreq/boost", "1\n"}}, "frequency.turbo", "true"},
    {{{NULL, NULL}}, "frequency.turbo", "null"},
    {{{"/sys/devices/system/cpu/smt/active", "1\n"}}, "smt.active", "true"},
    {{{CPU0 "/topology/thread_siblings_list", "0,64\n"}}, "smt.threads_per_core", "2"},
    {{{CPU0 "/topology/thread_siblings_list", "0-3\n"}}, "smt.threads_per_core", "4"},
    {{{CPU0 "/topology/thread_siblings_list", "3-0\n"}}, "smt.threads_per_core", "null"},
    {{{CPU0 "/topology/thread_siblings_list", "0-99999999\n"}}, "smt.threads_per_core", "null"},
    {{{CPU0 "/topology/thread_siblings_list", "0,x\n"}}, "smt.threads_per_core", "null"},
    {{{"/sys/devices/system/node/node0/cpulist", "0\n"},
      {"/sys/devices/system/node/node12/cpulist", "1\n"},
      {"/sys/devices/system/node/node1x/a", ""},
      {"/sys/devices/system/node/has_cpu", "0\n"}},
     "numa_nodes",
     "2"},
    {{{"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"}},
     "hugepages",
     "\"always madvise [never]\""},
    /* Version 2: in a place of its own, at the root of a container, without a limit, and with junk for one. */
    {{{"/sys/fs/cgroup/cgroup.controllers", "cpu memory\n"},
      {"/proc/self/cgroup", "0::/a.slice\n"},
      {"/sys/fs/cgroup/a.slice/cpu.stat", "usage_usec 1\nnr_throttled 7\nthrottled_usec 2500000\n"},
      {"/sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n"}},
     "cgroup",
     "{\"version\":2,\"cores\":1.5,\"memory_max_bytes\":null,\"throttled_periods\":7,\"throttled_s\":2.5}"},
    {{{"/sys/fs/cgroup/cgroup.controllers", "cpu memory\n"},
      {"/proc/self/cgroup", "0::/\n"},
      {"/sys/fs/cgroup/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/memory.max", "1073741824\n"}},
     "cgroup",
     "{\"version\":2,\"cores\":null,\"memory_max_bytes\":1073741824,\"throttled_periods\":null,\"throttled_s\":null}"},
    {{{"/sys/fs/cgroup/cgroup.controllers", "cpu\n"},
      {"/proc/self/cgroup", "0::/../../etc\n"},
      {"/sys/fs/cgroup/cpu.max", "50000 0\n"}},
     "cgroup.cores",
     "null"},
    {{{"/sys/fs/cgroup/cgroup.controllers", "cpu\n"}, {"/sys/fs/cgroup/cpu.max", "50000\n"}}, "cgroup.cores", "null"},
    /* Version 1, with a quota, and without: -1 and a limit that is none. */
    {{{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 4000000000\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"}},
     "cgroup",
     "{\"version\":1,\"cores\":0.5,\"memory_max_bytes\":536870912,\"throttled_periods\":3,\"throttled_s\":4}"},
    {{{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     "cgroup.memory_max_bytes",
     "null"},
    {{{NULL, NULL}}, "cgroup", "{\"version\":null}"},
    {{{CPU0 "/thermal_throttle/core_throttle_count", "12\n"}}, "throttled.core", "12"},
    {{{NULL, NULL}}, "throttled.package", "null"},
};

static void a_machine_is_what_its_files_say(void)
{
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        char text[128];
        cJSON *machine = record_of(readings[i].files, "{}");
        member_text(machine, readings[i].path, text);
        CHECK(strcmp(text, readings[i].value) == 0, "row %zu: %s is %s, expected %s", i, readings[i].path, text,
              readings[i].value);
        cJSON_Delete(machine);
    }
}

static void what_slows_is_warned_of_with_advice(void)
{
    static const struct {
        file files[FILES_MAX];
        double load;
        const char *says; /* NULL: nothing at all */
    } rows[] = {
        {{{FREQUENCY "/scaling_governor", "performance\n"}}, 0.1, NULL},
        {{{FREQUENCY "/scaling_governor", "powersave\n"}}, 0.1, "governor is 'powersave': clocks follow load"},
        {{{FREQUENCY "/energy_performance_preference", "balance_power\n"}}, 0.1, "'balance_power' over speed: "},
        {{{CPU0 "/topology/thread_siblings_list", "0-1\n"}}, 0.1, "4 threads share 2 cores, 2 on each (SMT): "},
        {{{"/sys/devices/system/node/node0/x", ""}, {"/sys/devices/system/node/node1/x", ""}}, 0.1, "2 NUMA nodes: "},
        {{{"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"}}, 0.1, "huge pages are off: "},
        {{{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n"}, {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
         0.1,
         "allows 1.50 cores, and 4 threads run: "},
        {{{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n"}, {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
         0.1,
         NULL},
        {{{CPU0 "/thermal_throttle/package_throttle_count", "3\n"}}, 0.1, "slowed down for heat 3 times since boot: "},
        {{{CPU0 "/thermal_throttle/package_throttle_count", "0\n"}}, 0.1, NULL},
        {{{NULL, NULL}}, 1.5, "load average 1.50 on 4 cores before the start: "},
        {{{NULL, NULL}}, NAN, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *machine = record_of(rows[i].files, "{\"cores\":4}"), *warnings = cJSON_CreateArray();
        CHECK(machine_state_warn(machine, 4, rows[i].load, warnings), "out of memory");
        char *text = cJSON_PrintUnformatted(warnings);
        CHECK(cJSON_GetArraySize(warnings) == (rows[i].says != NULL ? 1 : 0), "row %zu: %s", i, text);
        CHECK(rows[i].says == NULL || strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in %s", i, rows[i].says,
              text);
        cJSON_free(text);
        cJSON_Delete(warnings);
        cJSON_Delete(machine);
    }
}

/* A hundred ticks a second: 40 seconds of one core busy within 10 seconds are four cores, none of them ours. */
static void others_are_told_from_us(void)
{
    static const struct {
        const char *before, *after, *says; /* NULL: no warning */
    } rows[] = {
        {"cpu  100 0 0 0 0 0 0 0 0 0\n", "cpu  4100 0 0 9 0 0 0 0 0 0\n", "other processes used"},
        {"cpu  100 0 0 0 0 0 0 0 0 0\n", "cpu  100 0 0 99999 7 0 0 0 0 0\n", NULL},
        {"cpu  0 0 0 0 0 0 0 0 0 0\n", "cpu  0 0 0 0 0 0 0 100 0 0\n", "the hypervisor gave"},
        {"cpu junk\n", "cpu  4100 0 0 9 0 0 0 0 0 0\n", NULL},
        {"cpu  1 2 3\n", "cpu  1 2 3\n", NULL},
        {"intr 5\n", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder root;
        temporary_folder_create(&root);
        cJSON *machine = cJSON_Parse("{\"warnings\":[]}");
        put_file(&root, &(const file){"/proc/stat", rows[i].before});
        background_load start = background_load_now(root.path);
        start.clock_s -= 10;
        put_file(&root, &(const file){"/proc/stat", rows[i].after});
        CHECK(background_load_add(machine, &start, root.path) && background_load_add(machine, &start, root.path),
              "out of memory");
        char *text = cJSON_PrintUnformatted(machine);
        CHECK(strstr(text, "load_average_end") != NULL &&
                  strstr(strstr(text, "background_load") + 1, "background_load") == NULL,
              "%s", text);
        const bool warned = cJSON_GetArraySize(json_find(machine, "warnings")) > 0;
        CHECK(warned == (rows[i].says != NULL) && (!warned || strstr(text, rows[i].says) != NULL), "row %zu: %s", i,
              text);
        cJSON_free(text);
        cJSON_Delete(machine);
        temporary_folder_remove(&root);
    }
}

/* What grew between the two readings, whatever it was before. */
static void being_held_up_is_noticed_at_the_end(void)
{
#define HEAT "/sys/devices/system/cpu/cpu0/thermal_throttle/"
    static const struct {
        file before[FILES_MAX], after[FILES_MAX];
        const char *found, *warned; /* warned NULL: of nothing */
    } rows[] = {
        {{{HEAT "core_throttle_count", "7\n"}, {HEAT "package_throttle_count", "7\n"}},
         {{HEAT "core_throttle_count", "7\n"}, {HEAT "package_throttle_count", "7\n"}},
         "\"core\":0,\"package\":0",
         NULL},
        {{{HEAT "core_throttle_count", "7\n"}, {HEAT "package_throttle_count", "7\n"}},
         {{HEAT "core_throttle_count", "9\n"}, {HEAT "package_throttle_count", "12\n"}},
         "\"core\":2,\"package\":5",
         "slowed down for heat 5 times while"},
        {{{HEAT "core_throttle_count", "7\n"}},
         {{HEAT "core_throttle_count", "1\n"}},
         "\"core\":null,\"package\":null",
         NULL},
        {{{"/proc/x", ""}}, {{HEAT "core_throttle_count", "9\n"}}, "\"core\":null", NULL},
        {{{"/sys/fs/cgroup/cgroup.controllers", "cpu\n"},
          {"/sys/fs/cgroup/cpu.stat", "nr_throttled 7\nthrottled_usec 2500000\n"}},
         {{"/sys/fs/cgroup/cpu.stat", "nr_throttled 17\nthrottled_usec 4000000\n"}},
         "\"cgroup_periods\":10,\"cgroup_s\":1.5",
         "held this up 10 times while it ran, for 1.50 s"},
        {{{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
          {"/sys/fs/cgroup/cpu/cpu.stat", "nr_throttled 3\nthrottled_time 4000000000\n"}},
         {{"/sys/fs/cgroup/cpu/cpu.stat", "nr_throttled 3\nthrottled_time 4000000000\n"}},
         "\"cgroup_periods\":0,\"cgroup_s\":0",
         NULL},
        {{{"/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3000000\n"}},
         {{"/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1200000\n"}},
         "\"now_hz\":1200000000",
         NULL},
    };
#undef HEAT
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder root;
        temporary_folder_create(&root);
        cJSON *machine = cJSON_Parse("{\"warnings\":[]}");
        for (int k = 0; k < FILES_MAX && rows[i].before[k].path != NULL; k++) put_file(&root, &rows[i].before[k]);
        CHECK(machine_state_add(machine, root.path), "out of memory");
        for (int k = 0; k < FILES_MAX && rows[i].after[k].path != NULL; k++) put_file(&root, &rows[i].after[k]);
        CHECK(machine_state_add_held_up(machine, machine, root.path), "out of memory");
        char *text = cJSON_PrintUnformatted(json_find(machine, "held_up"));
        char *warnings = cJSON_PrintUnformatted(json_find(machine, "warnings"));
        CHECK(strstr(text, rows[i].found) != NULL, "row %zu: %s", i, text);
        CHECK(rows[i].warned != NULL ? strstr(warnings, rows[i].warned) != NULL : strcmp(warnings, "[]") == 0,
              "row %zu: %s", i, warnings);
        cJSON_free(text);
        cJSON_free(warnings);
        cJSON_Delete(machine);
        temporary_folder_remove(&root);
    }
}

/* Of a resumed bench, whose machine record is that of its first start: what was between the two is none of its own. */
static void held_up_counts_since_this_start(void)
{
    static const char first[] = "{\"warnings\":[],\"throttled\":{\"core\":1,\"package\":1}}",
                      second[] = "{\"throttled\":{\"core\":900,\"package\":900}}";
    const file now = {"/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "903\n"};
    temporary_folder root;
    temporary_folder_create(&root);
    put_file(&root, &now);
    cJSON *machine = cJSON_Parse(first), *since = cJSON_Parse(second);
    CHECK(machine_state_add_held_up(machine, since, root.path), "out of memory");
    char *text = cJSON_PrintUnformatted(machine);
    CHECK(strstr(text, "\"core\":3") != NULL && strstr(text, "heat 3 times") != NULL, "%s", text);
    cJSON_free(text);
    cJSON_Delete(machine);
    cJSON_Delete(since);
    temporary_folder_remove(&root);
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

enum { LEVELS_MAX = 4, CACHED_CPUS_MAX = 200, LIST = 4 * CACHED_CPUS_MAX };

/* Caches of one level: instances of `size`, each of `of` CPUs that follow each other, or, interleaved, of every n-th. */
typedef struct level {
    const char *level, *type, *size;
    int of;
    bool interleaved, unlisted; /* unlisted: the kernel does not say which CPUs share it */
} level;

static void put_cache(const temporary_folder *root, int cpus, int cpu, int index, const level *l)
{
    char list[LIST] = "", path[TEST_PATH];
    const int instances = cpus / l->of, own = l->interleaved ? cpu % instances : cpu / l->of;
    size_t used = 0;
    for (int other = 0; other < cpus; other++)
        if ((l->interleaved ? other % instances : other / l->of) == own)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", used > 0 ? "," : "", other);
    snprintf(list + used, sizeof list - used, "\n");
    const file files[] = {{"level", l->level}, {"type", l->type}, {"size", l->size}, {"shared_cpu_list", list}};
    for (size_t i = 0; i < sizeof files / sizeof files[0] - (l->unlisted ? 1 : 0); i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu, index, files[i].path);
        put_file(root, &(const file){path, files[i].text});
    }
}

/* A buffer that is to be larger than what all threads together find in caches must know all instances that they have. */
static void all_instances_of_a_cache_count(void)
{
#define L1                                                                                                             \
    {"1\n", "Data\n", "32K\n", 1, false, false},                                                                       \
    {                                                                                                                  \
        "1\n", "Instruction\n", "64K\n", 1, false, false                                                               \
    }
#define CACHE(level, size, of)                                                                                         \
    {                                                                                                                  \
        level, "Unified\n", size, of, false, false                                                                     \
    }
    static const struct {
        const char *what;
        int cpus;
        level levels[LEVELS_MAX];
        int first, end; /* CPUs that the process may use */
        size_t kilobytes;
    } rows[] = {
        {"one L3", 4, {L1, CACHE("2\n", "1024K\n", 1), CACHE("3\n", "32768K\n", 4)}, 0, 4, 32768},
        {"12 L3s", 96, {L1, CACHE("2\n", "1M\n", 1), CACHE("3\n", "32M\n", 8)}, 0, 96, 12 * 32768},
        {"two sockets", 16, {L1, CACHE("3\n", "1024K\n", 8)}, 0, 16, 2048},
        /* Their lists, "0,2,4...", are longer than a line is read. */
        {"two, by turns", 200, {L1, {"3\n", "Unified\n", "260M\n", 100, true, false}}, 0, 200, 2 * 260 * 1024},
        {"no L3", 8, {L1, CACHE("2\n", "2048K\n", 1)}, 0, 8, 8 * 2048},
        {"L2s hold more", 96, {L1, CACHE("2\n", "2M\n", 1), CACHE("3\n", "36M\n", 96)}, 0, 96, 192 * 1024},
        {"L1 alone, of data", 4, {L1}, 0, 4, 4 * 32},
        {"one of 12", 96, {L1, CACHE("3\n", "32M\n", 8)}, 8, 16, 32768},
        {"parts of two", 96, {L1, CACHE("3\n", "32M\n", 8)}, 4, 12, 2 * 32768},
        {"CPUs that are off", 16, {L1, CACHE("3\n", "32M\n", 8)}, 0, 64, 2 * 32768},
        {"not said who shares", 96, {L1, {"3\n", "Unified\n", "32M\n", 8, false, true}}, 0, 96, 32768},
        {"no size", 4, {CACHE("3\n", "large\n", 4)}, 0, 4, 0},
        {"an empty file", 4, {CACHE("", "32M\n", 4)}, 0, 4, 0},
        {"no file", 0, {L1}, 0, 4, 0},
        {"no CPU", 4, {L1}, 0, 0, 0},
    };
#undef L1
#undef CACHE
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder root;
        cpu_set_t cpus;
        size_t bytes = 1;
        temporary_folder_create(&root);
        for (int cpu = 0; cpu < rows[i].cpus; cpu++)
            for (int k = 0; k < LEVELS_MAX && rows[i].levels[k].level != NULL; k++)
                put_cache(&root, rows[i].cpus, cpu, k, &rows[i].levels[k]);
        CPU_ZERO(&cpus);
        for (int cpu = rows[i].first; cpu < rows[i].end; cpu++) CPU_SET((size_t)cpu, &cpus);
        CHECK(machine_cache_bytes(root.path, &cpus, &bytes) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(bytes == rows[i].kilobytes * 1024, "%s: %zu bytes, expected %zu kB", rows[i].what, bytes,
              rows[i].kilobytes);
        temporary_folder_remove(&root);
    }
}

/* A buffer that memory cannot hold would be given, page by page, until the kernel kills the process. */
static void a_buffer_beyond_all_memory_is_refused(void)
{
    static const char *const records[] = {"{\"memory_bytes\":1000,\"cgroup\":{\"memory_max_bytes\":null}}",
                                          "{\"memory_bytes\":1e15,\"cgroup\":{\"memory_max_bytes\":1000}}"};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        cJSON *machine = cJSON_Parse(records[i]);
        CHECK(machine_measure(machine, 1) == CIUIC_ERROR_UNSUPPORTED, "row %zu: it was measured", i);
        CHECK(strstr(ciuic_last_error(), "not enough memory, found 1000 bytes") != NULL, "row %zu: %s", i,
              ciuic_last_error());
        CHECK(json_find(machine, "bandwidth_bytes_per_s") == NULL, "row %zu: there is a figure", i);
        cJSON_Delete(machine);
    }
}

/* ---- energy ------------------------------------------------------------------------------------------------------ */

#define RAPL "/sys/class/powercap/intel-rapl:0"

/* Microjoules of a counter that begins again at 1,000,000. */
static void energy_is_the_packages(void)
{
    static const struct {
        file files[FILES_MAX];
        const char *after; /* energy_uj at the end; NULL: the file is gone */
        double joules;     /* NaN: none, */
        const char *says;  /* because */
    } rows[] = {
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "200000\n"}},
         "700000\n",
         0.5,
         ""},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "900000\n"}},
         "150000\n",
         0.25,
         ""},
        {{{RAPL "/name", "package-0\n"},
          {RAPL "/max_energy_range_uj", "1000000\n"},
          {RAPL "/energy_uj", "200000\n"},
          {RAPL ":0/name", "core\n"},
          {RAPL ":0/energy_uj", "5\n"}},
         "700000\n",
         0.5,
         ""},
        {{{RAPL "/name", "psys\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "200000\n"}},
         "700000\n",
         NAN,
         "no RAPL"},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "many\n"}},
         "700000\n",
         NAN,
         "holds no count"},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "0\n"}, {RAPL "/energy_uj", "2\n"}},
         "7\n",
         NAN,
         "holds no count"},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/energy_uj", "2\n"}}, "7\n", NAN, "cannot be read"},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "200000\n"}},
         NULL,
         NAN,
         "cannot be read"},
        {{{RAPL "/name", "package-0\n"}, {RAPL "/max_energy_range_uj", "1000000\n"}, {RAPL "/energy_uj", "200000\n"}},
         "99999999999999999999999\n",
         NAN,
         "holds no count"},
        {{{NULL, NULL}}, "7\n", NAN, "no RAPL"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder root;
        energy_meter meter;
        char path[2 * TEST_PATH];
        temporary_folder_create(&root);
        for (int k = 0; k < FILES_MAX && rows[i].files[k].path != NULL; k++) put_file(&root, &rows[i].files[k]);
        energy_open(&meter, root.path);
        energy_start(&meter);
        snprintf(path, sizeof path, "%s" RAPL "/energy_uj", root.path);
        unlink(path);
        if (rows[i].after != NULL) put_file(&root, &(const file){RAPL "/energy_uj", rows[i].after});
        energy_stop(&meter);
        cJSON *object = energy_json(&meter, 2);
        char *text = cJSON_PrintUnformatted(object), expected[64];
        snprintf(expected, sizeof expected, "\"joules\":%g}", rows[i].joules / 2);
        CHECK(strstr(text, isnan(rows[i].joules) ? rows[i].says : expected) != NULL, "row %zu: %s", i, text);
        cJSON_free(text);
        cJSON_Delete(object);
        temporary_folder_remove(&root);
    }
}

/* ---- likwid-bench ----------------------------------------------------------------------------------------------- */

static void likwid_benchs_figure_is_found(void)
{
    static const struct {
        const char *output;
        double bandwidth; /* NaN: none */
    } rows[] = {
        {"Time:\t\t1 sec\nMByte/s:\t\t19779.68\nCycles per update:\t1.05\n", 19779.68e6},
        {"MByte/s:\t\t5", 5e6},
        {"MFlops/s:\t\t5\n", NAN},
        {"", NAN},
        {"MByte/s:", NAN},
        {"MByte/s:\t\tnan\n", NAN},
        {"MByte/s:\t\tinf\n", NAN},
        {"MByte/s:\t\t-5\n", NAN},
        {"MByte/s:\t\t0\n", NAN},
        {"MByte/s:\t\t1e300\n", NAN},
        {"MByte/s:\t\t12x\n", NAN},
        {"a MByte/s:\t\t12\n", NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const double found = likwid_bench_parse(rows[i].output);
        CHECK(isnan(rows[i].bandwidth) ? isnan(found) : fabs(found - rows[i].bandwidth) < 1, "row %zu: %g", i, found);
    }
}

static void likwid_bench_may_be_bad(void)
{
    static const struct {
        const char *script, *says;
        bool warned;
    } rows[] = {
        {"exit 4", "likwid-bench ended with status 4", false},
        {"kill -SEGV $$", "likwid-bench crashed (signal 11)", false},
        {"echo hello", "likwid-bench printed no bandwidth", false},
        {"yes 'MByte/s: x' | head -c 200000", "likwid-bench printed no bandwidth", false},
        {NULL, "likwid-bench is not installed", false},
        {"echo 'MByte/s: 1'", "\"likwid_bench\":1000000", true}, /* no machine is as slow as that: they stay apart */
    };
    temporary_folder folder;
    temporary_folder_create(&folder);
    char *before = strdup(getenv("PATH")), path[TEST_PATH + 16], tool[TEST_PATH];
    temporary_path(&folder, "likwid-bench", tool);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[128];
        unlink(tool);
        snprintf(script, sizeof script, "#!/bin/sh\n%s\n", rows[i].script != NULL ? rows[i].script : "");
        if (rows[i].script != NULL) write_bytes(tool, script, strlen(script));
        if (rows[i].script != NULL) CU_ASSERT_EQUAL_FATAL(chmod(tool, 0755), 0);
        snprintf(path, sizeof path, "%s%s", folder.path, rows[i].script != NULL ? ":/usr/bin:/bin" : "");
        setenv("PATH", path, 1);
        cJSON *machine = cJSON_Parse("{\"bandwidth_buffer_bytes\":4000000,\"bandwidth_bytes_per_s\":{\"1\":1e10},"
                                     "\"warnings\":[]}");
        CHECK(machine_cross_check(machine, 1, CROSS_CHECK_EVERY_RUNG) == CIUIC_OK, "%s", ciuic_last_error());
        char *text = cJSON_PrintUnformatted(machine);
        CHECK(strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in %s", i, rows[i].says, text);
        CHECK((strstr(text, "apart") != NULL) == rows[i].warned, "row %zu: %s", i, text);
        /* One figure of this program's, in both places, and not below what was known. */
        cJSON *read_back = cJSON_Parse(text);
        const cJSON *checked = json_find(json_find(json_find(read_back, "cross_check"), "bandwidth"), "1");
        const double own = json_number(json_find(read_back, "bandwidth_bytes_per_s"), "1");
        CHECK(checked == NULL || (json_number(checked, "own") == own && json_number(checked, "own_plain") > 0),
              "row %zu: %s", i, text);
        CHECK((checked != NULL) == rows[i].warned && own >= 1e10, "row %zu: %s", i, text);
        const cJSON *narrower = json_find(json_find(read_back, "cross_check"), "narrower_loads"), *rung = NULL;
        CHECK(checked == NULL || kernel_isa_available(KERNEL_ISA_AVX2) == (cJSON_GetArraySize(narrower) > 0),
              "row %zu: %s", i, text);
        cJSON_ArrayForEach(rung, narrower)
            CHECK(json_number(json_find(json_find(rung, "bandwidth"), "1"), "own_plain") > 0, "row %zu: %s", i, text);
        cJSON_Delete(read_back);
        cJSON_free(text);
        cJSON_Delete(machine);
    }
    setenv("PATH", before, 1);
    free(before);
    temporary_folder_remove(&folder);
}

/* Measured again at the end, the best stays the best, and the same in both places; a rung keeps its own. */
static void a_better_bandwidth_takes_the_place_of_the_known_one(void)
{
    static const struct {
        double value, kept, kept_of_c;
    } rows[] = {{5e9, 1e10, 8e9}, {9e9, 1e10, 9e9}, {2e10, 2e10, 2e10}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *machine = cJSON_Parse("{\"bandwidth_bytes_per_s\":{\"1\":1e10},"
                                     "\"bandwidth_by_isa_bytes_per_s\":{\"c\":{\"1\":8e9},\"vliw\":{\"1\":1e10}},"
                                     "\"cross_check\":{\"bandwidth\":{\"1\":{\"own\":1e10,\"likwid_bench\":9e9}}}}");
        machine_raise_bandwidth(machine, KERNEL_ISA_C, 2, 3e10); /* which nobody has cross-checked */
        machine_raise_bandwidth(machine, KERNEL_ISA_C, 1, rows[i].value);
        char *text = cJSON_PrintUnformatted(machine);
        cJSON *read_back = cJSON_Parse(text);
        const cJSON *known = json_find(read_back, "bandwidth_bytes_per_s"),
                    *by_isa = json_find(read_back, "bandwidth_by_isa_bytes_per_s"),
                    *checked = json_find(json_find(json_find(read_back, "cross_check"), "bandwidth"), "1");
        CHECK(json_number(known, "1") == rows[i].kept && json_number(checked, "own") == rows[i].kept, "row %zu: %s", i,
              text);
        CHECK(json_number(known, "2") == 3e10 && json_number(checked, "likwid_bench") == 9e9, "row %zu: %s", i, text);
        CHECK(json_number(json_find(by_isa, "c"), "1") == rows[i].kept_of_c &&
                  json_number(json_find(by_isa, "c"), "2") == 3e10 &&
                  json_number(json_find(by_isa, "vliw"), "1") == 1e10,
              "row %zu: %s", i, text);
        CHECK(strcmp(json_find(by_isa, "c")->child->string, "1") == 0, "row %zu: out of order: %s", i, text);
        cJSON_Delete(read_back);
        cJSON_free(text);
        cJSON_Delete(machine);
    }
}

static const test_case cases[] = {
    {"a_machine_is_what_its_files_say", a_machine_is_what_its_files_say},
    {"what_slows_is_warned_of_with_advice", what_slows_is_warned_of_with_advice},
    {"others_are_told_from_us", others_are_told_from_us},
    {"being_held_up_is_noticed_at_the_end", being_held_up_is_noticed_at_the_end},
    {"held_up_counts_since_this_start", held_up_counts_since_this_start},
    {"all_instances_of_a_cache_count", all_instances_of_a_cache_count},
    {"a_buffer_beyond_all_memory_is_refused", a_buffer_beyond_all_memory_is_refused},
    {"energy_is_the_packages", energy_is_the_packages},
    {"likwid_benchs_figure_is_found", likwid_benchs_figure_is_found},
    {"likwid_bench_may_be_bad", likwid_bench_may_be_bad},
    {"a_better_bandwidth_takes_the_place_of_the_known_one", a_better_bandwidth_takes_the_place_of_the_known_one},
};
TEST_SUITE(machine_state, cases);
