/* machine_state.h - what decides how fast a machine is today: clocks, threads of a core, memory's nodes, limits of the group it
 * runs in, heat, and who else is at work. All of it is read from /proc and /sys below `root` ("" is the machine itself; tests
 * have a folder). */
#ifndef CIUIC_MACHINE_STATE_H
#define CIUIC_MACHINE_STATE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Adds microcode, governor, frequency {driver, min_hz, max_hz, now_hz, preference, turbo}, smt {active, threads_per_core}, numa_nodes,
 * hugepages, cgroup {version, cores, memory_max_bytes, throttled_periods, throttled_s}, throttled {core, package} (how often a
 * core was slowed for heat, since boot) and "unread": {"member": "why it is null"} for each that could not be had. False: out
 * of memory. */
bool machine_state_add(cJSON *machine, const char *root);

/* Reads again, at the end, what machine_state_add has read into `since`, and adds "held_up" to `machine`: {core, package,
 * cgroup_periods, cgroup_s, now_hz}: how often it was slowed for heat and held up by the group's quota meanwhile, and the clock
 * now; and warns of what was. What is not known is null. `since` may be `machine` itself. False: out of memory. */
bool machine_state_add_held_up(cJSON *machine, const cJSON *since, const char *root);

/* Adds to the array what of it steals speed or steadiness, a sentence each: "fact: advice". `threads`: that this process may
 * use; `load`: the load average of a minute, NaN when not known. */
bool machine_state_warn(const cJSON *machine, int threads, double load, cJSON *warnings);

/* Adds a warning with advice when `migrations` (migrations_json, of the case `id`; NULL: none is known) were frequent. `warnings`
 * may be NULL. False: out of memory. */
bool machine_state_warn_moves(const char *id, const cJSON *migrations, cJSON *warnings);

/* The CPU time of everybody and of this program, to tell the others' part of it. */
typedef struct background_load {
    double busy_s;   /* of all cores, since boot; NaN: not known */
    double stolen_s; /* by the hypervisor */
    double own_s;    /* of this process and its children that have ended */
    double clock_s;
} background_load;

background_load background_load_now(const char *root);
/* Adds "background_load": {"others_cores", "stolen_cores", "seconds"}, the mean over the time since `start`, and load_average_end; and
 * warns of more than a tenth of a core. Call it when this program's children have ended. False: out of memory. */
bool background_load_add(cJSON *machine, const background_load *start, const char *root);

#endif
