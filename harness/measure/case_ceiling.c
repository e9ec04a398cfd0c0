/* case_ceiling.c - see case_ceiling.h. */
#include "harness/measure/case_ceiling.h"

#include <math.h>
#include <stdio.h>

#include "optimizer/json.h"
#include "optimizer/quantize/setting.h"

enum { BUFFER_STEP = 256 * 1024 };

size_t ceiling_buffer_bytes(const cJSON *loaded)
{
    const double bytes = json_number(loaded, "decode_bytes");
    if (!(bytes > 0)) return 0;
    return bytes < BUFFER_STEP ? (size_t)bytes : (size_t)bytes / BUFFER_STEP * BUFFER_STEP;
}

/* The highest figure of any rung for this number of threads; 0 when there is none. */
static double best_peak(const cJSON *machine, const char *key, int threads)
{
    char name[16];
    double best = 0;
    const cJSON *rung = NULL;
    snprintf(name, sizeof name, "%d", threads);
    cJSON_ArrayForEach(rung, json_find(machine, key))
    {
        const double peak = json_number(rung, name);
        const double scaled =
            isnan(peak) ? json_number(rung, "1") * threads : peak; /* cores do not slow each other below this */
        if (scaled > best) best = scaled;
    }
    return best;
}

/* Bytes of the KV cache that one decoded token reads, on average over the decoded ones. */
static double cache_bytes(const cJSON *loaded, const suite_workload *w)
{
    const double positions = (double)(w->depth + w->tokens);
    const double each = json_number(loaded, "kv_cache") / positions;
    return each * ((double)w->depth + ((double)w->tokens + 1) / 2);
}

case_ceiling ceiling_of_case(const cJSON *loaded, const cJSON *machine, const suite_workload *w,
                             const ciuic_options *options, int threads, double bandwidth)
{
    case_ceiling c = {.tokens_per_s = NAN, .bandwidth = bandwidth, .buffer_bytes = ceiling_buffer_bytes(loaded)};
    const double weights = json_number(loaded, "decode_bytes");
    c.flops_per_token = json_number(loaded, "decode_flops");
    c.bytes_per_token = weights + cache_bytes(loaded, w);
    if (w->phase == PHASE_PREFILL) { /* one pass over the weights, and logits of the last token only */
        const double tokens = (double)w->tokens;
        c.flops_per_token -= json_number(loaded, "head_flops") * (tokens - 1) / tokens;
        c.bytes_per_token = weights / tokens;
    }
    c.peak = best_peak(machine, "peak_flops_per_s", threads);
    const double bf16 = best_peak(machine, "peak_bf16_ops_per_s", threads);
    if (cJSON_IsTrue(json_find(loaded, "bfloat16")) && bf16 > c.peak) c.peak = bf16;
    const double dot = best_peak(machine, "peak_int8_ops_per_s", threads);
    const quantize_setting setting = quantize_setting_of(options);
    const bool codes = quantize_setting_by_groups(&setting) || options->quantize == CIUIC_QUANTIZE_MIXED;
    if (codes && options->activations == CIUIC_ACTIVATIONS_INT8 && dot > c.peak) c.peak = dot;
    const double memory_s = c.bytes_per_token / bandwidth, compute_s = c.flops_per_token / c.peak;
    if (!(memory_s > 0) || !(compute_s > 0) || isinf(compute_s)) return c;
    c.memory_bound = memory_s >= compute_s;
    c.tokens_per_s = 1 / (c.memory_bound ? memory_s : compute_s);
    return c;
}
