/* memory_kinds.c - see memory_kinds.h. */
#include "harness/report/memory_kinds.h"

#include <math.h>

const char *const memory_kind_titles[MEMORY_KINDS] = {
    "Weights, mapped", "Weights, heap, as read", "Weights, heap, packed", "KV cache", "Activations", "Workspace",
    "Other",
};

static double bytes_of(const result_case *c, const char *kind)
{
    return case_number(c, "memory_bytes", kind);
}

void memory_kinds_of(const result_case *c, double bytes[MEMORY_KINDS])
{
    const double heap = bytes_of(c, "weights"), said = bytes_of(c, "packed"), other = bytes_of(c, "other");
    const double packed = isnan(said) ? 0.0 : fmin(said, heap);
    const double kinds[MEMORY_KINDS - 1] = {
        bytes_of(c, "mapped"),      heap - packed,           packed, bytes_of(c, "kv_cache"),
        bytes_of(c, "activations"), bytes_of(c, "workspace")};
    double sum = 0.0;
    for (size_t k = 0; k < MEMORY_KINDS - 1; k++) sum += bytes[k] = kinds[k];
    bytes[MEMORY_KINDS - 1] = isnan(other) ? fmax(0.0, bytes_of(c, "total") - sum) : other;
}
