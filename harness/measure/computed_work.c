/* computed_work.c - see computed_work.h. */
#include "harness/measure/computed_work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/json.h"

operation_class operation_class_of_kind(graph_op_kind kind)
{
    switch (kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
    case GRAPH_ABSORB_QUERY:
    case GRAPH_ABSORB_VALUE:
    case GRAPH_CONV2D:
        return OPERATION_MATMUL;
    case GRAPH_QUANTIZE:
        return OPERATION_QUANTISE;
    case GRAPH_CACHE_WRITE:
    case GRAPH_CACHE_READ:
    case GRAPH_ATTENTION:
        return OPERATION_ATTENTION;
    case GRAPH_RMS_NORM:
    case GRAPH_ADD_NORM:
    case GRAPH_BATCH_NORM:
    case GRAPH_ROPE:
    case GRAPH_SILU:
    case GRAPH_MUL:
    case GRAPH_ADD:
    case GRAPH_SWIGLU:
    case GRAPH_RELU:
        return OPERATION_ELEMENTWISE;
    case GRAPH_ROUTE:
    case GRAPH_GATHER:
    case GRAPH_COMBINE:
        return OPERATION_ROUTING;
    case GRAPH_EMBED:
    case GRAPH_INPUT:
    case GRAPH_SLICE:
    case GRAPH_CONCAT:
    case GRAPH_LAST_ROW:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
    case GRAPH_OP_KINDS:
        break;
    }
    return OPERATION_OTHER;
}

static void add_cost(kind_cost *sum, const kind_cost *cost)
{
    sum->flops += cost->flops;
    sum->weight_bytes += cost->weight_bytes;
    sum->cache_bytes += cost->cache_bytes;
    sum->activation_bytes += cost->activation_bytes;
    sum->written_bytes += cost->written_bytes;
}

static double bytes_read(const kind_cost *c)
{
    return c->weight_bytes + c->cache_bytes + c->activation_bytes - c->written_bytes;
}

static bool add_members(cJSON *object, const kind_cost *c)
{
    return json_add_double(object, "operations", c->flops) &&
           json_add_double(object, "weight_bytes", c->weight_bytes) &&
           json_add_double(object, "cache_bytes", c->cache_bytes) &&
           json_add_double(object, "activation_bytes", c->activation_bytes) &&
           json_add_double(object, "read_bytes", bytes_read(c)) &&
           json_add_double(object, "written_bytes", c->written_bytes);
}

cJSON *computed_work_json(const kind_cost costs[GRAPH_OP_KINDS])
{
    kind_cost all = {0}, classes[OPERATION_CLASSES] = {{0}};
    for (int k = 0; k < GRAPH_OP_KINDS; k++) {
        add_cost(&all, &costs[k]);
        add_cost(&classes[operation_class_of_kind((graph_op_kind)k)], &costs[k]);
    }
    cJSON *object = cJSON_CreateObject(), *by_class = NULL;
    bool ok = object != NULL && cJSON_AddStringToObject(object, "source", "computed") != NULL &&
              add_members(object, &all) &&
              json_add_double(object, "bytes_read_per_weight_byte",
                              all.weight_bytes > 0 ? bytes_read(&all) / all.weight_bytes : NAN);
    ok = ok && (by_class = cJSON_AddObjectToObject(object, "by_class")) != NULL;
    for (int c = 0; c < OPERATION_CLASSES && ok; c++) {
        if (classes[c].flops == 0 && bytes_read(&classes[c]) + classes[c].written_bytes == 0) continue;
        cJSON *item = cJSON_AddObjectToObject(by_class, operation_class_name((operation_class)c));
        ok = item != NULL && add_members(item, &classes[c]);
    }
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

/* ---- what was counted ------------------------------------------------------------------------------------------- */

/* Of likwid's metrics those that are a volume that was read, the farthest from the core first. */
static bool find_volume(const cJSON *metrics, measured_bytes *m)
{
    static const char *const names[] = {"Memory read data volume [GBytes]", "Memory data volume [GBytes]",
                                        "L3 data volume [GBytes]", "L2 data volume [GBytes]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const double volume = json_number(json_find(metrics, names[i]), "sum");
        if (isnan(volume)) continue;
        m->bytes = 1e9 * volume;
        snprintf(m->what, sizeof m->what, "%s", names[i]);
        return true;
    }
    return false;
}

measured_bytes measured_bytes_of(const cJSON *counters)
{
    enum { LINE_BYTES = 64 }; /* of every processor that has kernels here */
    measured_bytes m = {.bytes = NAN};
    const char *source = json_text(counters, "source");
    if (strcmp(source, "simulated") == 0) {
        m.bytes = json_number(counters, "d1_read_misses") * json_number(json_find(counters, "caches"), "line_bytes");
        snprintf(m.what, sizeof m.what, "read misses of the first-level cache");
    } else if (strcmp(source, "perf_event") == 0) {
        m.bytes = LINE_BYTES * json_number(counters, "cache_misses");
        snprintf(m.what, sizeof m.what, "cache_misses, prefetches not among them");
    } else if (strcmp(source, "likwid") != 0 || !find_volume(json_find(counters, "metrics"), &m)) {
        return m;
    }
    if (!isnan(m.bytes)) m.source = source;
    return m;
}

measured_bytes measured_bytes_of_class(const cJSON *counters, const char *class_name)
{
    measured_bytes m = measured_bytes_of(counters);
    if (m.source == NULL || strcmp(m.source, "simulated") != 0) return (measured_bytes){.bytes = NAN};
    m.bytes = json_number(json_find(json_find(counters, "by_class"), class_name), "d1_read_misses") *
              json_number(json_find(counters, "caches"), "line_bytes");
    if (isnan(m.bytes)) m.source = NULL;
    return m;
}
