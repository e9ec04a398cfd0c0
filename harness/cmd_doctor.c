/* cmd_doctor.c - `ciuic doctor`: what this machine has, what a report made on it will lack, and what that costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/measure/cgroup_memory.h"
#include "harness/measure/counters_simulated.h"
#include "harness/measure/likwid_bench.h"
#include "harness/measure/machine.h"
#include "harness/version.h"
#include "kernels/kernels.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic doctor [--json]\n"
                           "\n"
                           "What this machine has, what a report made on it will lack, what that costs,\n"
                           "and what to do about it. Measures load bandwidth and arithmetic peaks for\n"
                           "each instruction set, with one thread and with all, and holds the bandwidth\n"
                           "against likwid-bench's where that is installed: some seconds.\n"
                           "\n"
                           "  --json   one JSON object on stdout\n"
                           "\n"
                           "example:\n"
                           "  ciuic doctor\n";

/* Peak memory of the quick suite is under 1 GiB; a machine needs some for itself. */
static const double enough_memory = 2.0 * 1073741824.0;

/* ---- reading the description ------------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key, const char *absent)
{
    const cJSON *item = json_find(object, key);
    return cJSON_IsString(item) ? item->valuestring : absent;
}

/* json_add_* keep a number as the text that reads back as the same number. 0 where there is none. */
static double value_of(const cJSON *item)
{
    if (cJSON_IsRaw(item)) return strtod(item->valuestring, NULL);
    return cJSON_IsNumber(item) ? item->valuedouble : 0.0;
}

static double number_of(const cJSON *object, const char *key)
{
    return value_of(json_find(object, key));
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

/* "gnuplot 5.4 patchlevel 4"; null where there is none. */
static bool add_gnuplot(cJSON *machine)
{
    char line[128] = "";
    FILE *pipe = popen("gnuplot --version 2>/dev/null", "r");
    if (pipe != NULL) {
        if (fgets(line, sizeof line, pipe) == NULL) line[0] = '\0';
        pclose(pipe);
    }
    line[strcspn(line, "\n")] = '\0';
    return (line[0] != '\0' ? cJSON_AddStringToObject(machine, "gnuplot", line)
                            : cJSON_AddNullToObject(machine, "gnuplot")) != NULL;
}

static bool add_valgrind(cJSON *machine)
{
    simulated_support support;
    counters_simulated_probe(&support);
    return (support.works ? cJSON_AddStringToObject(machine, "valgrind", support.tool)
                          : cJSON_AddNullToObject(machine, "valgrind")) != NULL;
}

static bool add_finding(cJSON *findings, const char *what, const char *costs, const char *advice)
{
    cJSON *finding = cJSON_CreateObject();
    if (finding == NULL || !cJSON_AddItemToArray(findings, finding)) {
        cJSON_Delete(finding);
        return false;
    }
    return cJSON_AddStringToObject(finding, "what", what) != NULL &&
           cJSON_AddStringToObject(finding, "costs", costs) != NULL &&
           cJSON_AddStringToObject(finding, "advice", advice) != NULL;
}

static bool find_missing_isas(cJSON *findings)
{
    bool ok = true;
    for (int i = 0; ok && i < KERNEL_ISAS; i++) {
        char what[64], costs[128];
        if (kernel_isa_available((kernel_isa)i)) continue;
        snprintf(what, sizeof what, "no %s", kernel_isa_name((kernel_isa)i));
        snprintf(costs, sizeof costs, "cases with %s kernels are skipped; \"best\" is %s",
                 kernel_isa_name((kernel_isa)i), kernel_isa_name(kernel_isa_best()));
        ok = add_finding(findings, what, costs, "none: this processor, or its hypervisor, does not offer it");
    }
    return ok;
}

static bool find_missing_tools(cJSON *findings, const cJSON *machine)
{
    bool ok = true;
    const cJSON *hardware = json_find(machine, "counters");
    if (json_find(hardware, "source") == NULL) {
        const cJSON *reason = json_find(hardware, "reason");
        char what[600];
        snprintf(what, sizeof what, "no hardware counters: %s",
                 cJSON_IsString(reason) ? reason->valuestring : "unknown");
        ok = add_finding(
            findings, what,
            "no cycles, instructions or cache misses in the report; times, memory, errors and verdicts stand",
            "on your own machine, as root: sysctl kernel.perf_event_paranoid=1; in a container: "
            "--cap-add=PERFMON; in a virtual machine only its host can help");
    }
    const cJSON *no_energy = json_find(json_find(machine, "energy"), "reason");
    if (ok && cJSON_IsString(no_energy)) {
        char what[400];
        snprintf(what, sizeof what, "no energy: %.300s", no_energy->valuestring);
        ok = add_finding(findings, what, "no joules per token in the report",
                         "on your own machine, as root: chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj");
    }
    if (ok && json_find(machine, "valgrind") == NULL)
        ok = add_finding(findings, "no valgrind", "--counters simulated has nothing to count with",
                         "ci/setup.sh test, or apt-get install valgrind");
    const cJSON *unchecked = json_find(json_find(machine, "cross_check"), "reason");
    if (ok && cJSON_IsString(unchecked))
        ok = add_finding(findings, unchecked->valuestring,
                         "the bandwidth that ceilings stand on is this program's word only", "apt-get install likwid");
    if (ok && json_find(machine, "gnuplot") == NULL)
        ok = add_finding(findings, "no gnuplot", "the report has tables and no plots",
                         "ci/setup.sh, or apt-get install gnuplot-nox");
    return ok;
}

/* Not missed by any report: a suite says which limit it asks for. */
static bool add_limits(cJSON *object)
{
    cgroup_memory group;
    cgroup_memory_find_own(&group);
    cJSON *limits = cJSON_AddObjectToObject(object, "memory_limits");
    return limits != NULL &&
           cJSON_AddStringToObject(limits, "how", group.available ? "rlimit, cgroup" : "rlimit") != NULL &&
           (group.available ? cJSON_AddNullToObject(limits, "reason")
                            : cJSON_AddStringToObject(limits, "reason", group.reason)) != NULL;
}

static bool find_tight_places(cJSON *findings, const cJSON *machine)
{
    const double memory = number_of(machine, "memory_bytes");
    bool ok = true;
    if (memory > 0.0 && memory < enough_memory)
        ok = add_finding(findings, "less than 2 GiB of memory",
                         "workers may be killed; their cases are recorded as failed",
                         "close other programs, or run a suite with fewer variants");
    if (ok && number_of(machine, "threads") == 1.0)
        ok = add_finding(findings, "one core", "how speed grows with threads cannot be seen",
                         "none, unless this process was confined to one (taskset, cgroup)");
    return ok;
}

/* What machine_describe warns about stands in one line each: fact and advice. */
static bool find_warnings(cJSON *findings, const cJSON *machine)
{
    bool ok = true;
    const cJSON *warning;
    cJSON_ArrayForEach(warning, json_find(machine, "warnings"))
    {
        if (!ok || !cJSON_IsString(warning)) continue;
        char what[640];
        const char *colon = strstr(warning->valuestring, ": ");
        if (colon == NULL) {
            ok = add_finding(findings, warning->valuestring, "figures may be off", "see the sentence above");
            continue;
        }
        snprintf(what, sizeof what, "%.*s", (int)(colon - warning->valuestring), warning->valuestring);
        ok = add_finding(findings, what, "figures may be off or vary", colon + 2);
    }
    return ok;
}

static bool diagnose(cJSON *object)
{
    cJSON *machine = cJSON_GetObjectItemCaseSensitive(object, "machine");
    cJSON *findings = cJSON_AddArrayToObject(object, "findings");
    return machine != NULL && findings != NULL && add_limits(object) && add_gnuplot(machine) && add_valgrind(machine) &&
           find_missing_isas(findings) && find_missing_tools(findings, machine) &&
           find_tight_places(findings, machine) && find_warnings(findings, machine);
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static void print_names(const char *title, const cJSON *list)
{
    const cJSON *item;
    printf("  %-20s", title);
    cJSON_ArrayForEach(item, list) if (cJSON_IsString(item)) printf(" %s", item->valuestring);
    putchar('\n');
}

/* One figure for each number of threads: "27.1 with 1 thread, 47.0 with 2". */
static void print_by_threads(const char *title, const cJSON *figures, const char *unit)
{
    const cJSON *figure;
    const char *separator = "";
    if (!cJSON_IsObject(figures)) return;
    printf("  %-20s ", title);
    cJSON_ArrayForEach(figure, figures)
    {
        printf("%s%.1f with %s", separator, value_of(figure) / 1e9, figure->string);
        separator = ", ";
    }
    printf(" thread%s %s\n", cJSON_GetArraySize(figures) == 1 ? "" : "s", unit);
}

static void print_checked(const char *title, const char *key, const cJSON *check)
{
    const cJSON *item = NULL;
    const char *separator = "";
    if (json_find(check, "bandwidth") == NULL) return;
    printf("  %-20s ", title);
    cJSON_ArrayForEach(item, json_find(check, "bandwidth"))
    {
        printf("%s%.1f with %s", separator, number_of(item, key) / 1e9, item->string);
        separator = ", ";
    }
    puts(" (GB/s)");
}

/* Both figures of each rung below the widest. */
static void print_narrower(const cJSON *checks)
{
    const cJSON *check;
    cJSON_ArrayForEach(check, checks)
    {
        char title[64];
        snprintf(title, sizeof title, "  one stream, %s", check->string);
        print_checked(title, "own_plain", check);
        snprintf(title, sizeof title, "  likwid-bench, %s", check->string);
        print_checked(title, "likwid_bench", check);
        if (json_find(check, "reason") != NULL) printf("  %-20s %s\n", title, text_of(check, "reason", "none"));
    }
}

static void print_by_isa(const char *what, const cJSON *peaks, const char *unit)
{
    const cJSON *peak;
    cJSON_ArrayForEach(peak, peaks)
    {
        char title[64];
        snprintf(title, sizeof title, "%s%s", what, peak->string);
        print_by_threads(title, peak, unit);
    }
}

static void print_findings(const cJSON *findings)
{
    const cJSON *finding;
    if (cJSON_GetArraySize(findings) == 0) {
        puts("\nNothing is missing: a report made here will be complete.");
        return;
    }
    puts("\nWhat a report made here will lack, or suffer from:");
    cJSON_ArrayForEach(finding, findings)
    {
        putchar('\n');
        command_print_wrapped("  - ", text_of(finding, "what", ""));
        command_print_wrapped("    cost: ", text_of(finding, "costs", ""));
        command_print_wrapped("    help: ", text_of(finding, "advice", ""));
    }
}

static void print_text(const cJSON *object)
{
    const cJSON *machine = json_find(object, "machine");
    const cJSON *hardware = json_find(machine, "counters");
    printf("ciuic %s (%s), %s\n\n", program_version(), program_git(), program_compiler());
    printf("  %-20s %s\n", "processor", text_of(machine, "cpu", "unknown"));
    printf("  %-20s %.0f, of which this process may use %.0f\n", "cores", number_of(machine, "cores"),
           number_of(machine, "threads"));
    printf("  %-20s %.1f GiB\n", "memory", number_of(machine, "memory_bytes") / 1073741824.0);
    print_names("instruction sets", json_find(machine, "isa"));
    print_names("processor flags", json_find(machine, "flags"));
    if (kernel_isa_override() != NULL) printf("  %-20s %s\n", "CIUIC_ISA", kernel_isa_override());
    print_by_threads("load bandwidth", json_find(machine, "bandwidth_bytes_per_s"), "(GB/s)");
    print_by_isa("  by loads of ", json_find(machine, "bandwidth_by_isa_bytes_per_s"), "(GB/s)");
    print_checked("  in one stream", "own_plain", json_find(machine, "cross_check"));
    print_checked("  by likwid-bench", "likwid_bench", json_find(machine, "cross_check"));
    print_narrower(json_find(json_find(machine, "cross_check"), "narrower_loads"));
    print_by_isa("FP32 peak, ", json_find(machine, "peak_flops_per_s"), "(GFLOP/s)");
    print_by_isa("BF16 peak, ", json_find(machine, "peak_bf16_ops_per_s"), "(GFLOP/s)");
    print_by_isa("INT8 peak, ", json_find(machine, "peak_int8_ops_per_s"), "(GOP/s)");
    printf("  %-20s %s\n", "hardware counters", text_of(hardware, "source", "none"));
    printf("  %-20s %s\n", "energy", text_of(json_find(machine, "energy"), "source", "none"));
    printf("  %-20s %s\n", "simulated counters", text_of(machine, "valgrind", "none"));
    printf("  %-20s %s\n", "plots", text_of(machine, "gnuplot", "none"));
    const char *no_group = text_of(json_find(object, "memory_limits"), "reason", NULL);
    char held[384];
    snprintf(held, sizeof held, "of addresses (RLIMIT_AS)%s%.256s",
             no_group != NULL ? "; no cgroup: " : ", of pages (cgroup)", no_group != NULL ? no_group : "");
    command_print_wrapped("  limits of memory     ", held);
    command_print_wrapped("  OpenBLAS             ", text_of(machine, "openblas", "none"));
    printf("  %-20s %s\n", "oneDNN", text_of(machine, "onednn", "none"));
    print_findings(json_find(object, "findings"));
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static ciuic_status examine(cJSON *object)
{
    cJSON *machine = machine_describe();
    if (object == NULL || machine == NULL || !cJSON_AddItemToObject(object, "machine", machine)) {
        cJSON_Delete(machine);
        return ciuic_fail_memory("the machine's description", 4096);
    }
    CIUIC_TRY(machine_measure(machine, (int)number_of(machine, "threads")));
    CIUIC_TRY(machine_cross_check(machine, (int)number_of(machine, "threads"), CROSS_CHECK_EVERY_RUNG));
    return diagnose(object) ? CIUIC_OK : ciuic_fail_memory("the findings", 4096);
}

static bool add_program(cJSON *object)
{
    cJSON *json = cJSON_AddObjectToObject(object, "program");
    const char *override = kernel_isa_override();
    return json != NULL && cJSON_AddStringToObject(json, "version", program_version()) != NULL &&
           cJSON_AddStringToObject(json, "git", program_git()) != NULL &&
           cJSON_AddStringToObject(json, "compiler", program_compiler()) != NULL &&
           cJSON_AddStringToObject(json, "flags", program_flags()) != NULL &&
           (override != NULL ? cJSON_AddStringToObject(object, "isa_override", override)
                             : cJSON_AddNullToObject(object, "isa_override")) != NULL;
}

int cmd_doctor(int argc, char **argv)
{
    bool json = false;
    const command_option options[] = {{.name = "--json", .kind = OPTION_SWITCH, .value = &json}};
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, 1, 0, 0, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);

    cJSON *object = cJSON_CreateObject();
    status = examine(object);
    if (status == CIUIC_OK && json) {
        const bool complete = add_program(object);
        return command_exit(command_print_json(object, complete));
    }
    if (status == CIUIC_OK) print_text(object);
    cJSON_Delete(object);
    return command_exit(status);
}
