/* machine_state.c - see machine_state.h. A file may be absent, empty, longer than expected or hold anything: what is no sound
 * value is null, and "unread" has why. */
#include "harness/measure/machine_state.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/measure/migrations.h"
#include "harness/monotonic_clock.h"
#include "optimizer/json.h"

enum { LINE = 256, PATH = 512 };

/* Where values come from and go to. */
typedef struct reading {
    const char *root;
    cJSON *unread;
    bool ok; /* no memory has run out */
} reading;

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* The first line of root/path that begins with `start`, without it, its newline and control characters; false and errno (0: there
 * is the file, and no such line). */
static bool find_line(const char *root, const char *path, const char *start, char line[LINE])
{
    char full[PATH];
    bool found = false;
    if (snprintf(full, sizeof full, "%s%s", root, path) >= PATH) return false;
    FILE *file = fopen(full, "re");
    if (file == NULL) return false;
    const size_t skip = strlen(start);
    for (int lines = 0; lines < 4096 && !found && fgets(line, LINE, file) != NULL; lines++) {
        found = strncmp(line, start, skip) == 0;
        if (found) memmove(line, line + skip, strlen(line + skip) + 1);
    }
    fclose(file);
    errno = 0;
    if (!found) return false;
    line[strcspn(line, "\n")] = '\0';
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~') *c = *c == '\t' ? ' ' : '?';
    return line[0] != '\0';
}

/* A whole number of at most 18 digits; NaN for anything else. */
static double whole_number(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 18 && (text[digits] == '\0' || text[digits] == ' ') ? strtod(text, NULL) : NAN;
}

static double read_number(const char *root, const char *path, const char *start)
{
    char line[LINE];
    if (!find_line(root, path, start, line)) return NAN;
    return whole_number(line + strspn(line, " :"));
}

/* ---- adding ----------------------------------------------------------------------------------------------------- */

static void note_unread(reading *r, const char *key, const char *path)
{
    char why[PATH + LINE];
    if (errno != 0)
        snprintf(why, sizeof why, "%s: %s", path, strerror(errno));
    else
        snprintf(why, sizeof why, "%s: no sound value in it", path);
    r->ok = r->ok && cJSON_AddStringToObject(r->unread, key, why) != NULL;
}

static void add_text(reading *r, cJSON *object, const char *key, const char *path, const char *start)
{
    char line[LINE];
    errno = 0;
    if (find_line(r->root, path, start, line)) {
        r->ok = r->ok && cJSON_AddStringToObject(object, key, line + strspn(line, " :")) != NULL;
        return;
    }
    note_unread(r, key, path);
    r->ok = r->ok && cJSON_AddNullToObject(object, key) != NULL;
}

/* `factor`: kilohertz to hertz. */
static void add_number(reading *r, cJSON *object, const char *key, const char *path, double factor)
{
    errno = 0;
    const double value = read_number(r->root, path, "");
    if (isnan(value)) note_unread(r, key, path);
    r->ok = r->ok && json_add_double(object, key, value * factor);
}

static cJSON *add_object(reading *r, cJSON *parent, const char *key)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    r->ok = r->ok && object != NULL;
    return object;
}

#define CPU0 "/sys/devices/system/cpu/cpu0"

static void add_frequency(reading *r, cJSON *machine)
{
    cJSON *f = add_object(r, machine, "frequency");
    double off = read_number(r->root, "/sys/devices/system/cpu/intel_pstate/no_turbo", "");
    if (isnan(off)) off = 1 - read_number(r->root, "/sys/devices/system/cpu/cpufreq/boost", "");
    add_text(r, f, "driver", CPU0 "/cpufreq/scaling_driver", "");
    add_number(r, f, "min_hz", CPU0 "/cpufreq/cpuinfo_min_freq", 1e3);
    add_number(r, f, "max_hz", CPU0 "/cpufreq/cpuinfo_max_freq", 1e3);
    add_number(r, f, "now_hz", CPU0 "/cpufreq/scaling_cur_freq", 1e3);
    add_text(r, f, "preference", CPU0 "/cpufreq/energy_performance_preference", "");
    r->ok =
        r->ok && (isnan(off) ? cJSON_AddNullToObject(f, "turbo") : cJSON_AddBoolToObject(f, "turbo", off == 0)) != NULL;
}

/* "0-1" and "0,64" are two threads of a core; 0 for what is no list. */
static size_t list_length(const char *list)
{
    size_t n = 0;
    while (*list != '\0') {
        char *end = NULL;
        if (*list < '0' || *list > '9') return 0;
        const unsigned long first = strtoul(list, &end, 10);
        unsigned long last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9') last = strtoul(end + 1, &end, 10);
        if (last < first || last - first > 65536 || (*end != ',' && *end != '\0')) return 0;
        n += last - first + 1;
        list = *end == ',' ? end + 1 : end;
    }
    return n;
}

static void add_smt(reading *r, cJSON *machine)
{
    char line[LINE];
    cJSON *smt = add_object(r, machine, "smt");
    const double active = read_number(r->root, "/sys/devices/system/cpu/smt/active", "");
    r->ok = r->ok && (isnan(active) ? cJSON_AddNullToObject(smt, "active")
                                    : cJSON_AddBoolToObject(smt, "active", active == 1)) != NULL;
    errno = 0;
    const bool found = find_line(r->root, CPU0 "/topology/thread_siblings_list", "", line);
    const size_t siblings = found ? list_length(line) : 0;
    if (siblings == 0) note_unread(r, "threads_per_core", CPU0 "/topology/thread_siblings_list");
    r->ok = r->ok && json_add_double(smt, "threads_per_core", siblings > 0 ? (double)siblings : NAN);
}

/* Entries of root/path that are `start` and digits. */
static size_t count_numbered(const char *root, const char *path, const char *start)
{
    char full[PATH];
    size_t n = 0;
    if (snprintf(full, sizeof full, "%s%s", root, path) >= PATH) return 0;
    DIR *folder = opendir(full);
    for (const struct dirent *e = folder != NULL ? readdir(folder) : NULL; e != NULL; e = readdir(folder)) {
        const size_t skip = strlen(start),
                     digits = strspn(e->d_name + (strncmp(e->d_name, start, skip) == 0 ? skip : 0), "0123456789");
        n += strncmp(e->d_name, start, skip) == 0 && digits > 0 && e->d_name[skip + digits] == '\0';
    }
    if (folder != NULL) closedir(folder);
    return n;
}

static void add_nodes(reading *r, cJSON *machine)
{
    errno = 0;
    const size_t nodes = count_numbered(r->root, "/sys/devices/system/node", "node");
    if (nodes == 0) note_unread(r, "numa_nodes", "/sys/devices/system/node");
    r->ok = r->ok && json_add_double(machine, "numa_nodes", nodes > 0 ? (double)nodes : NAN);
}

/* ---- the group of processes ------------------------------------------------------------------------------------- */

/* Cores that a quota of `quota` in each `period` microseconds comes to; NaN: none. */
static double quota_cores(double quota, double period)
{
    return quota > 0 && period > 0 ? quota / period : NAN;
}

static void add_cgroup_2(reading *r, cJSON *group, const char *path)
{
    char file[PATH + 16], line[LINE];
    double cores = NAN;
    snprintf(file, sizeof file, "%s/cpu.max", path);
    if (find_line(r->root, file, "", line)) { /* "max 100000" or "150000 100000" */
        const char *space = strchr(line, ' ');
        if (space != NULL) cores = quota_cores(whole_number(line), whole_number(space + 1));
    }
    snprintf(file, sizeof file, "%s/memory.max", path);
    const double memory = read_number(r->root, file, "");
    snprintf(file, sizeof file, "%s/cpu.stat", path);
    r->ok = r->ok && json_add_double(group, "cores", cores) && json_add_double(group, "memory_max_bytes", memory) &&
            json_add_double(group, "throttled_periods", read_number(r->root, file, "nr_throttled ")) &&
            json_add_double(group, "throttled_s", read_number(r->root, file, "throttled_usec ") * 1e-6);
}

static void add_cgroup_1(reading *r, cJSON *group)
{
    static const char cpu[] = "/sys/fs/cgroup/cpu", memory[] = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
    char quota[64], period[64], stat[64];
    snprintf(quota, sizeof quota, "%s/cpu.cfs_quota_us", cpu); /* -1: none */
    snprintf(period, sizeof period, "%s/cpu.cfs_period_us", cpu);
    snprintf(stat, sizeof stat, "%s/cpu.stat", cpu);
    const double limit = read_number(r->root, memory, "");
    r->ok = r->ok &&
            json_add_double(group, "cores",
                            quota_cores(read_number(r->root, quota, ""), read_number(r->root, period, ""))) &&
            json_add_double(group, "memory_max_bytes", limit < 0x1p62 ? limit : NAN) &&
            json_add_double(group, "throttled_periods", read_number(r->root, stat, "nr_throttled ")) &&
            json_add_double(group, "throttled_s", read_number(r->root, stat, "throttled_time ") * 1e-9);
}

/* Version 2 has one tree, in which /proc/self/cgroup ("0::/path") has this process's place; inside a container that place is the
 * root. Version 1 has a tree for each controller; the container's own is mounted at its root. */
static void add_cgroup(reading *r, cJSON *machine)
{
    char place[LINE] = "", path[PATH], probe[PATH + 16], line[LINE];
    cJSON *group = add_object(r, machine, "cgroup");
    const bool second = find_line(r->root, "/sys/fs/cgroup/cgroup.controllers", "", line);
    const bool first = !second && (find_line(r->root, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "", line) ||
                                   find_line(r->root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "", line));
    r->ok = r->ok && json_add_double(group, "version", second ? 2 : first ? 1 : NAN);
    if (first) add_cgroup_1(r, group);
    if (second) {
        if (!find_line(r->root, "/proc/self/cgroup", "0::", place) || strstr(place, "..") != NULL) place[0] = '\0';
        snprintf(path, sizeof path, "/sys/fs/cgroup%s", strcmp(place, "/") == 0 ? "" : place);
        snprintf(probe, sizeof probe, "%s/cpu.stat", path);
        if (!find_line(r->root, probe, "", line)) snprintf(path, sizeof path, "/sys/fs/cgroup");
        add_cgroup_2(r, group, path);
    }
    errno = 0;
    if (!first && !second)
        note_unread(r, "cgroup", "/sys/fs/cgroup: neither of version 1 nor 2; its limits are not known");
}

static void add_heat(reading *r, cJSON *machine)
{
    cJSON *heat = add_object(r, machine, "throttled");
    add_number(r, heat, "core", CPU0 "/thermal_throttle/core_throttle_count", 1);
    add_number(r, heat, "package", CPU0 "/thermal_throttle/package_throttle_count", 1);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

bool machine_state_add(cJSON *machine, const char *root)
{
    reading r = {.root = root, .unread = cJSON_CreateObject(), .ok = true};
    if (r.unread == NULL) return false;
    add_text(&r, machine, "microcode", "/proc/cpuinfo", "microcode");
    add_text(&r, machine, "governor", CPU0 "/cpufreq/scaling_governor", "");
    add_frequency(&r, machine);
    add_smt(&r, machine);
    add_nodes(&r, machine);
    add_text(&r, machine, "hugepages", "/sys/kernel/mm/transparent_hugepage/enabled", "");
    add_cgroup(&r, machine);
    add_heat(&r, machine);
    if (cJSON_AddItemToObject(machine, "unread", r.unread)) return r.ok;
    cJSON_Delete(r.unread);
    return false;
}

/* ---- at the end -------------------------------------------------------------------------------------------------- */

/* How much a count has grown; NaN where it was not read at both times, or fell: the machine was started anew meanwhile. */
static double growth(const cJSON *before, const cJSON *after, const char *key)
{
    const double grown = json_number(after, key) - json_number(before, key);
    return grown >= 0 ? grown : NAN;
}

static bool warn_held_up(double heat, double periods, double seconds, cJSON *warnings)
{
    char text[2 * LINE];
    if (heat > 0) {
        snprintf(text, sizeof text,
                 "the processor was slowed down for heat %.0f times while this ran, since it was last started: what "
                 "was measured then is slower than "
                 "what it can do; let it cool, or turn its turbo off, and measure again",
                 heat);
        if (!cJSON_AddItemToArray(warnings, cJSON_CreateString(text))) return false;
    }
    if (periods > 0) {
        snprintf(
            text, sizeof text,
            "the control group's quota held this up %.0f times while it ran, for %.2f s: seconds are longer by that; "
            "run with fewer --threads, or raise the limit, and measure again",
            periods, seconds);
        if (!cJSON_AddItemToArray(warnings, cJSON_CreateString(text))) return false;
    }
    return true;
}

bool machine_state_add_held_up(cJSON *machine, const cJSON *since, const char *root)
{
    cJSON *now = cJSON_CreateObject(), *warnings = cJSON_GetObjectItemCaseSensitive(machine, "warnings");
    reading r = {.root = root, .unread = cJSON_CreateObject(), .ok = now != NULL};
    r.ok = r.ok && r.unread != NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(machine, "held_up");
    cJSON *held_up = r.ok ? cJSON_AddObjectToObject(machine, "held_up") : NULL;
    if (held_up != NULL) {
        add_heat(&r, now);
        add_cgroup(&r, now);
        add_frequency(&r, now);
        const cJSON *heat = json_find(since, "throttled"), *group = json_find(since, "cgroup");
        const cJSON *heat_now = json_find(now, "throttled"), *group_now = json_find(now, "cgroup");
        const double core = growth(heat, heat_now, "core"), package = growth(heat, heat_now, "package");
        const double periods = growth(group, group_now, "throttled_periods");
        const double seconds = growth(group, group_now, "throttled_s");
        r.ok = r.ok && json_add_double(held_up, "core", core) && json_add_double(held_up, "package", package) &&
               json_add_double(held_up, "cgroup_periods", periods) && json_add_double(held_up, "cgroup_s", seconds) &&
               json_add_double(held_up, "now_hz", json_number(json_find(now, "frequency"), "now_hz")) &&
               (warnings == NULL || warn_held_up(fmax(core, package), periods, seconds, warnings));
    }
    cJSON_Delete(now);
    cJSON_Delete(r.unread);
    return held_up != NULL && r.ok;
}

/* ---- warnings --------------------------------------------------------------------------------------------------- */

/* What a condition may look at, and what it found, for its sentence. */
typedef struct view {
    const cJSON *machine;
    int threads;
    double load;
    char fact[LINE];
} view;

static bool slow_governor(view *v)
{
    const cJSON *governor = json_find(v->machine, "governor");
    if (!cJSON_IsString(governor) || strcmp(governor->valuestring, "performance") == 0) return false;
    snprintf(v->fact, sizeof v->fact, "the CPU frequency governor is '%.40s'", governor->valuestring);
    return true;
}

static bool frugal_preference(view *v)
{
    const cJSON *preference = json_find(json_find(v->machine, "frequency"), "preference");
    if (!cJSON_IsString(preference) || strstr(preference->valuestring, "power") == NULL) return false;
    snprintf(v->fact, sizeof v->fact, "the processor is told to prefer '%.40s' over speed", preference->valuestring);
    return true;
}

static bool shared_cores(view *v)
{
    const double siblings = json_number(json_find(v->machine, "smt"), "threads_per_core");
    const double cores = json_number(v->machine, "cores");
    if (!(siblings > 1) || !(v->threads > cores / siblings)) return false;
    snprintf(v->fact, sizeof v->fact, "%d threads share %.0f cores, %.0f on each (SMT)", v->threads, cores / siblings,
             siblings);
    return true;
}

static bool several_nodes(view *v)
{
    const double nodes = json_number(v->machine, "numa_nodes");
    if (!(nodes > 1)) return false;
    snprintf(v->fact, sizeof v->fact, "memory is in %.0f NUMA nodes", nodes);
    return true;
}

static bool no_huge_pages(view *v)
{
    const cJSON *huge = json_find(v->machine, "hugepages");
    if (!cJSON_IsString(huge) || strstr(huge->valuestring, "[never]") == NULL) return false;
    snprintf(v->fact, sizeof v->fact, "transparent huge pages are off");
    return true;
}

static bool limited_cores(view *v)
{
    const double cores = json_number(json_find(v->machine, "cgroup"), "cores");
    if (!(cores < v->threads)) return false;
    snprintf(v->fact, sizeof v->fact, "the control group allows %.2f cores, and %d threads run", cores, v->threads);
    return true;
}

static bool slowed_by_heat(view *v)
{
    const cJSON *heat = json_find(v->machine, "throttled");
    const double times = fmax(json_number(heat, "core"), json_number(heat, "package"));
    if (!(times > 0)) return false;
    snprintf(v->fact, sizeof v->fact, "the processor was slowed down for heat %.0f times since boot", times);
    return true;
}

static bool busy_before(view *v)
{
    if (!(v->load > 0.3 * v->threads)) return false;
    snprintf(v->fact, sizeof v->fact, "load average %.2f on %d cores before the start", v->load, v->threads);
    return true;
}

static const struct {
    bool (*holds)(view *v);
    const char *advice;
} warnings_known[] = {
    {slow_governor, "clocks follow load; 'cpupower frequency-set -g performance' steadies them"},
    {frugal_preference, "clocks are lower than they could be; 'cpupower set --epp performance' raises them"},
    {shared_cores, "two threads of a core share its arithmetic; --threads with the number of cores says what they add"},
    {several_nodes, "speed depends on which node the weights are in; 'numactl --cpunodebind=0 --membind=0' fixes it"},
    {no_huge_pages,
     "large models miss the TLB more; 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' allows them"},
    {limited_cores, "threads are stopped when the quota is used up; run with fewer --threads, or raise the limit"},
    {slowed_by_heat, "compare rounds for drift, and let it cool; a laptop on a desk is no server"},
    {busy_before, "something else is running; stop it, or expect wide intervals"},
};

bool machine_state_warn(const cJSON *machine, int threads, double load, cJSON *warnings)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof warnings_known / sizeof warnings_known[0] && ok; i++) {
        char text[2 * LINE];
        view v = {.machine = machine, .threads = threads, .load = load};
        if (!warnings_known[i].holds(&v)) continue;
        snprintf(text, sizeof text, "%s: %s", v.fact, warnings_known[i].advice);
        ok = cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
    }
    return ok;
}

bool machine_state_warn_moves(const char *id, const cJSON *migrations, cJSON *warnings)
{
    char text[2 * LINE];
    const double moves = json_number(migrations, "moves"), rate = json_number(migrations, "per_cpu_second");
    if (warnings == NULL || !migrations_frequent(moves, rate)) return true;
    snprintf(text, sizeof text,
             "threads were moved between cores, %s%.0f times a second of CPU time in %s (by %s): each move finds cold "
             "caches; "
             "pin threads: OMP_PROC_BIND=true OMP_PLACES=cores, which workers ask for, so that 'taskset -c' around the "
             "bench, "
             "or a control group with cores of its own, has to do it",
             cJSON_IsTrue(json_find(migrations, "lower_bound")) ? "at least " : "", rate, id,
             json_text(migrations, "source"));
    return cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
}

/* ---- background load -------------------------------------------------------------------------------------------- */

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + 1e-6 * (double)t->tv_usec;
}

background_load background_load_now(const char *root)
{
    background_load c = {.busy_s = NAN, .stolen_s = NAN};
    unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
    char line[LINE];
    struct rusage own = {0}, children = {0};
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    if (find_line(root, "/proc/stat", "cpu ", line) &&
        sscanf(line, "%llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq,
               &steal) == 8) {
        c.busy_s = ((double)user + (double)nice + (double)system + (double)irq + (double)softirq) / ticks;
        c.stolen_s = (double)steal / ticks;
    }
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    c.own_s = seconds_of(&own.ru_utime) + seconds_of(&own.ru_stime) + seconds_of(&children.ru_utime) +
              seconds_of(&children.ru_stime);
    c.clock_s = monotonic_s();
    return c;
}

bool background_load_add(cJSON *machine, const background_load *start, const char *root)
{
    const background_load now = background_load_now(root);
    const double seconds = now.clock_s - start->clock_s;
    /* Ticks of the kernel are whole hundredths, and of a short time little is known. */
    const double others =
        seconds > 0.5 ? fmax(0, now.busy_s - start->busy_s - (now.own_s - start->own_s)) / seconds : NAN;
    const double stolen = seconds > 0.5 ? (now.stolen_s - start->stolen_s) / seconds : NAN;
    double load[1] = {NAN};
    cJSON_DeleteItemFromObjectCaseSensitive(machine, "background_load");
    cJSON_DeleteItemFromObjectCaseSensitive(machine, "load_average_end");
    if (getloadavg(load, 1) != 1) load[0] = NAN;
    cJSON *object = cJSON_AddObjectToObject(machine, "background_load"),
          *warnings = cJSON_GetObjectItemCaseSensitive(machine, "warnings");
    bool ok = object != NULL && json_add_double(object, "others_cores", isnan(now.busy_s) ? NAN : others) &&
              json_add_double(object, "stolen_cores", stolen) && json_add_double(object, "seconds", seconds) &&
              json_add_double(machine, "load_average_end", load[0]);
    char text[LINE];
    if (ok && warnings != NULL && !isnan(now.busy_s) && others > 0.1) {
        snprintf(text, sizeof text,
                 "other processes used %.0f%% of a core while this ran: intervals are wider for it, and seconds "
                 "longer; stop "
                 "them and measure again",
                 100 * others);
        ok = cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
    }
    if (ok && warnings != NULL && stolen > 0.02) {
        snprintf(
            text, sizeof text,
            "the hypervisor gave %.0f%% of a core to others while this ran: another time of day, or another host, is "
            "quieter",
            100 * stolen);
        ok = cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
    }
    return ok;
}
