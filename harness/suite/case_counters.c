/* case_counters.c - see case_counters.h. */
#include "harness/suite/case_counters.h"

#include <math.h>

#include "optimizer/json.h"

static void add_weight_traffic(cJSON *counters, const cJSON *loaded, const suite_workload *w)
{
    const double weights = json_number(loaded, "decode_bytes") * (double)w->tokens;
    const double line = json_number(json_find(counters, "caches"), "line_bytes");
    const double misses = json_number(json_find(json_find(counters, "by_class"), "matmul"), "d1_read_misses");
    if (w->phase != PHASE_DECODE || !(weights > 0) || isnan(misses) || isnan(line)) return;
    json_add_double(counters, "weight_bytes", weights);
    json_add_double(counters, "bytes_per_weight_byte", misses * line / weights);
}

cJSON *case_counters(const cJSON *counted, const cJSON *read, const cJSON *loaded, const suite_workload *w)
{
    cJSON *counters =
        counted != NULL || read != NULL ? cJSON_Duplicate(counted != NULL ? counted : read, 1) : cJSON_CreateObject();
    if (counters == NULL) return NULL;
    if (counted != NULL) {
        static const char *const own_source[] = {"energy", "software"};
        for (size_t i = 0; i < sizeof own_source / sizeof own_source[0]; i++) {
            const cJSON *item = json_find(read, own_source[i]);
            if (item != NULL) cJSON_AddItemToObject(counters, own_source[i], cJSON_Duplicate(item, 1));
        }
        add_weight_traffic(counters, loaded, w);
    } else if (read == NULL) {
        cJSON_AddNullToObject(counters, "source");
        cJSON_AddStringToObject(counters, "reason", "the bench was stopped before they were read");
    }
    cJSON *energy = cJSON_GetObjectItemCaseSensitive(counters, "energy");
    const double joules = json_number(energy, "joules");
    if (!isnan(joules) && w->tokens > 0) json_add_double(energy, "joules_per_token", joules / (double)w->tokens);
    return counters;
}
