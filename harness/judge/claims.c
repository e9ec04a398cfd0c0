/* claims.c - reading claims strictly, and the one rule by which an interval decides. */
#include "harness/judge/claims.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { CLAIMS_FILE_MAX = 1 << 20 };

static const claim_metric metrics[] = {
    {"speedup", "speed-up", METRIC_SPEED, NULL, false},
    {"memory_reduction_total", "accounted memory saved", METRIC_MEMORY, "total", true},
    {"memory_reduction_peak_rss", "peak process memory saved", METRIC_MEMORY, "peak_rss", true},
    {"mean_abs_error", "mean absolute error", METRIC_ERROR, "mean_abs_error", false},
    {"max_abs_error", "largest absolute error", METRIC_ERROR, "max_abs_error", false},
    {"kl", "KL divergence", METRIC_ERROR, "kl", false},
    {"top1_agreement", "same next word", METRIC_ERROR, "top1_agreement", true},
    {"perplexity_rise", "rise in perplexity", METRIC_ERROR, NULL, true}, /* exp(nll_rise) - 1 */
    {"memory_of_limit", "share of the limit of memory", METRIC_LIMIT, NULL, true},
};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static const char *const phases[] = {"prefill", "decode"};
static const char *const measured_baselines[] = {"naive", "tuned", "openblas", "onednn"};
enum { MEASURED = sizeof measured_baselines / sizeof measured_baselines[0] };
static const char *const reference_only[] = {"reference"};
static const char *const variant_keys[] = {"quantize", "graph", "memory", "kernels"};

static bool is_among(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) return true;
    return false;
}

/* A non-empty array of different strings, each one of `names`. */
static ciuic_status get_names(const cJSON *object, const char *where, const char *key, const char *const *names,
                              size_t n, const cJSON **out)
{
    CIUIC_TRY(json_get_array(object, where, key, out));
    if ((*out)->child == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s is empty; expected at least one of \"%s\"...", where, key,
                          names[0]);
    for (const cJSON *item = (*out)->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item) || !is_among(item->valuestring, names, n))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s holds %s%s; expected \"%s\"%s%s%s%s", where, key,
                              cJSON_IsString(item) ? "unknown " : "something that is not a string",
                              cJSON_IsString(item) ? item->valuestring : "", names[0], n > 1 ? ", \"" : "",
                              n > 1 ? names[1] : "", n > 1 ? "\"" : "", n > 2 ? " or another of its kind" : "");
        for (const cJSON *earlier = (*out)->child; earlier != item; earlier = earlier->next)
            if (strcmp(earlier->valuestring, item->valuestring) == 0)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s names \"%s\" twice; expected it once", where, key,
                                  item->valuestring);
    }
    return CIUIC_OK;
}

/* A bound that may be left out. */
static ciuic_status get_bound(const cJSON *object, const char *where, const char *key, double *out)
{
    *out = NAN;
    return json_find(object, key) == NULL ? CIUIC_OK : json_get_double(object, where, key, -1e9, 1e9, out);
}

/* A limit is one of memory, and what must stay within it has an upper bound. */
static ciuic_status get_limit(const cJSON *item, const char *where, claim *c)
{
    size_t bytes = 0;
    c->limit = NAN;
    if (c->metric->kind == METRIC_LIMIT && isnan(c->max))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s without max; expected one, such as 1: all of the limit", where,
                          c->metric->name);
    if (json_find(item, "limit_bytes") == NULL) return CIUIC_OK;
    if (c->metric->kind != METRIC_LIMIT)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: limit_bytes with metric %s; expected memory_of_limit", where,
                          c->metric->name);
    CIUIC_TRY(json_get_size(item, where, "limit_bytes", (size_t)1 << 20, (size_t)1 << 46, &bytes));
    c->limit = (double)bytes;
    return CIUIC_OK;
}

static ciuic_status check_variant(const cJSON *variant, const char *where)
{
    CIUIC_TRY(json_only_keys(variant, where, variant_keys, sizeof variant_keys / sizeof variant_keys[0]));
    for (const cJSON *item = variant->child; item != NULL; item = item->next) {
        const bool graph = strcmp(item->string, "graph") == 0;
        bool good = cJSON_IsString(item) || (graph && cJSON_IsBool(item));
        if (!graph && cJSON_IsArray(item) && item->child != NULL) {
            good = true;
            for (const cJSON *name = item->child; name != NULL; name = name->next) good = good && cJSON_IsString(name);
        }
        if (!good)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: variant.%s is not %s", where, item->string,
                              graph ? "true, false or a string of passes" : "a setting's name or an array of them");
    }
    return CIUIC_OK;
}

static ciuic_status get_metric(const cJSON *item, const char *where, const claim_metric **metric)
{
    const char *name = NULL;
    CIUIC_TRY(json_get_string(item, where, "metric", &name));
    char known[256] = "";
    for (size_t i = 0; i < METRICS; i++) {
        if (strcmp(name, metrics[i].name) == 0) {
            *metric = &metrics[i];
            return CIUIC_OK;
        }
        plain_append(known, sizeof known, "%s%s", i > 0 ? ", " : "", metrics[i].name);
    }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: unknown metric \"%s\"; expected one of %s", where, name, known);
}

ciuic_status claim_parse(const cJSON *item, const char *name, size_t position, claim *out)
{
    static const char *const keys[] = {"id",  "question", "sentence", "source",  "metric",    "min",
                                       "max", "band_top", "phases",   "variant", "baselines", "limit_bytes"};
    char where[320];
    snprintf(where, sizeof where, "%.255s: claims[%zu]", name, position);
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected a claim", where);
    CIUIC_TRY(json_only_keys(item, where, keys, sizeof keys / sizeof keys[0]));
    claim c = {0};
    CIUIC_TRY(json_get_string(item, where, "id", &c.id));
    CIUIC_TRY(json_get_string(item, where, "question", &c.question));
    CIUIC_TRY(json_get_string(item, where, "sentence", &c.sentence));
    CIUIC_TRY(json_get_string(item, where, "source", &c.source));
    CIUIC_TRY(get_metric(item, where, &c.metric));
    CIUIC_TRY(get_bound(item, where, "min", &c.min));
    CIUIC_TRY(get_bound(item, where, "max", &c.max));
    CIUIC_TRY(get_bound(item, where, "band_top", &c.band_top));
    if (isnan(c.min) && isnan(c.max))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: neither min nor max; expected a bound, so that it can be false",
                          where);
    if (c.min > c.max) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: min %g is above max %g", where, c.min, c.max);
    if (!isnan(c.band_top) && !(c.band_top > c.min))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: band_top %g; expected a number above min", where, c.band_top);
    CIUIC_TRY(get_limit(item, where, &c));
    CIUIC_TRY(get_names(item, where, "phases", phases, 2, &c.phases));
    const bool error = c.metric->kind == METRIC_ERROR;
    CIUIC_TRY(get_names(item, where, "baselines", error ? reference_only : measured_baselines, error ? 1 : MEASURED,
                        &c.baselines));
    CIUIC_TRY(json_get_object(item, where, "variant", &c.variant));
    CIUIC_TRY(check_variant(c.variant, where));
    *out = c;
    return CIUIC_OK;
}

ciuic_status claims_check(const cJSON *claims, const char *name)
{
    if (!cJSON_IsArray(claims) || claims->child == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an array of claims; expected [{\"id\": ...}, ...]", name);
    size_t position = 0;
    for (const cJSON *item = claims->child; item != NULL; item = item->next, position++) {
        claim c;
        CIUIC_TRY(claim_parse(item, name, position, &c));
        for (const cJSON *earlier = claims->child; earlier != item; earlier = earlier->next)
            if (strcmp(json_find(earlier, "id")->valuestring, c.id) == 0)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: claims[%zu]: id \"%s\" is taken; expected one of its own",
                                  name, position, c.id);
    }
    return CIUIC_OK;
}

ciuic_status claims_read(const char *path, cJSON **claims)
{
    cJSON *parsed = NULL;
    CIUIC_TRY(json_read_file(path, CLAIMS_FILE_MAX, &parsed));
    const ciuic_status status = claims_check(parsed, path);
    if (status == CIUIC_OK)
        *claims = parsed;
    else
        cJSON_Delete(parsed);
    return status;
}

/* ---- scope ------------------------------------------------------------------------------------------------------ */

/* `allowed` is absent (anything goes), a string or an array of strings. */
static bool allows(const cJSON *allowed, const char *setting)
{
    if (allowed == NULL) return true;
    if (cJSON_IsString(allowed)) return strcmp(allowed->valuestring, setting) == 0;
    for (const cJSON *name = allowed->child; name != NULL; name = name->next)
        if (strcmp(name->valuestring, setting) == 0) return true;
    return false;
}

/* true means all passes. */
static bool allows_graph(const cJSON *allowed, const result_case *c)
{
    if (allowed == NULL) return true;
    if (cJSON_IsString(allowed)) return c->passes != NULL && strcmp(allowed->valuestring, c->passes) == 0;
    return c->passes == NULL && (bool)cJSON_IsTrue(allowed) == c->graph;
}

double claim_limit(const claim *about, const cJSON *results)
{
    const cJSON *of_run = json_find(json_find(results, "limits"), "total_bytes");
    if (!isnan(about->limit)) return about->limit;
    return json_is_number(of_run) ? of_run->valuedouble : NAN;
}

bool claim_covers(const claim *about, const result_set *r, const result_case *c)
{
    if (about->metric->kind == METRIC_LIMIT && isnan(claim_limit(about, r->root))) return false;
    const result_group *group = &r->groups[c->group];
    if (c->twin || c->baseline != NULL || !allows(about->phases, group->phase)) return false;
    if (!allows_graph(json_find(about->variant, "graph"), c)) return false;
    if (!allows(json_find(about->variant, "quantize"), c->quantize)) return false;
    if (!allows(json_find(about->variant, "memory"), c->memory)) return false;
    const cJSON *kernels = json_find(about->variant, "kernels");
    const bool best = group->tuned != NULL && strcmp(c->kernels, group->tuned->kernels) == 0;
    return allows(kernels, c->kernels) || (best && allows(kernels, "best"));
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

const char *verdict_name(verdict v)
{
    static const char *const names[] = {"supported", "refuted", "inconclusive"};
    return names[v];
}

verdict claim_judge(const claim *about, double low, double high)
{
    if (isnan(low) || isnan(high)) return VERDICT_INCONCLUSIVE;
    /* A comparison with a bound that is NaN, one that the claim does not have, is false. */
    if (high < about->min || low > about->max) return VERDICT_REFUTED;
    if (low < about->min || high > about->max) return VERDICT_INCONCLUSIVE;
    return VERDICT_SUPPORTED;
}

static double beyond(const claim *about, double from, double to)
{
    return about->metric->kind == METRIC_SPEED ? log(to / from) : to - from;
}

double claim_distance(const claim *about, double value)
{
    if (isnan(value)) return NAN;
    return fmax(beyond(about, value, about->min), beyond(about, about->max, value)); /* fmax ignores a NaN */
}

double claim_bound(const claim *about, double value)
{
    if (isnan(about->min) || isnan(about->max)) return isnan(about->min) ? about->max : about->min;
    return beyond(about, about->max, value) > beyond(about, value, about->min) ? about->max : about->min;
}
