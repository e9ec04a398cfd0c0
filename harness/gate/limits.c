/* limits.c - reading a gate file strictly: known keys, possible values, no limit that could not say no. */
#include "harness/gate/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/json_syntax.h"

enum { SCHEMA_VERSION = 1, PLACE = 320 };

static const size_t gate_file_max = (size_t)16 << 20;

/* ---- metrics ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *outer, *inner;
    gate_kind kind;
    bool small_is_worse, whole;
} metrics[] = {
    {"accuracy", "nll", GATE_ACCURACY, false, false},
    {"accuracy", "nll_rise", GATE_ACCURACY, false, false},
    {"accuracy", "perplexity", GATE_ACCURACY, false, false},
    {"accuracy", "kl", GATE_ACCURACY, false, false},
    {"accuracy", "kl_p99", GATE_ACCURACY, false, false},
    {"accuracy", "kl_max", GATE_ACCURACY, false, false},
    {"accuracy", "mean_abs_error", GATE_ACCURACY, false, false},
    {"accuracy", "max_abs_error", GATE_ACCURACY, false, false},
    {"accuracy", "relative_l2", GATE_ACCURACY, false, false},
    {"accuracy", "cosine", GATE_ACCURACY, true, false},
    {"accuracy", "top1_agreement", GATE_ACCURACY, true, false},
    {"memory_bytes", "total", GATE_MEMORY, false, true},
    {"memory_bytes", "peak_rss", GATE_MEMORY, false, true},
    {"memory_bytes", "weights", GATE_MEMORY, false, true},
    {"memory_bytes", "mapped", GATE_MEMORY, false, true},
    {"memory_bytes", "kv_cache", GATE_MEMORY, false, true},
    {"memory_bytes", "activations", GATE_MEMORY, false, true},
    {"memory_bytes", "workspace", GATE_MEMORY, false, true},
    {"weight_bytes", "", GATE_MEMORY, false, true},
    {"bits_per_weight", "", GATE_MEMORY, false, false},
    {"speedup", "", GATE_SPEED, true, false},
};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static const char counter_prefix[] = "counters.";

static bool is_counter(const char *name)
{
    const size_t prefix = sizeof counter_prefix - 1;
    if (strncmp(name, counter_prefix, prefix) != 0 || name[prefix] == '\0') return false;
    return strspn(name + prefix, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name + prefix) &&
           strlen(name + prefix) < sizeof((gate_metric *)NULL)->inner;
}

static ciuic_status get_metric(const cJSON *item, const char *where, gate_metric *out)
{
    const char *name = NULL;
    CIUIC_TRY(json_get_string(item, where, "metric", &name));
    *out = (gate_metric){0};
    snprintf(out->name, sizeof out->name, "%s", name);
    for (size_t i = 0; i < METRICS; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s%s%s", metrics[i].outer, metrics[i].inner[0] != '\0' ? "." : "",
                 metrics[i].inner);
        if (strcmp(name, full) != 0) continue;
        snprintf(out->outer, sizeof out->outer, "%s", metrics[i].outer);
        snprintf(out->inner, sizeof out->inner, "%s", metrics[i].inner);
        out->kind = metrics[i].kind;
        out->small_is_worse = metrics[i].small_is_worse;
        out->whole = metrics[i].whole;
        return CIUIC_OK;
    }
    if (is_counter(name)) {
        snprintf(out->outer, sizeof out->outer, "counters");
        snprintf(out->inner, sizeof out->inner, "%s", name + sizeof counter_prefix - 1);
        out->kind = GATE_COUNTER;
        out->whole = true;
        return CIUIC_OK;
    }
    if (strncmp(name, "latency_s", 9) == 0 || strcmp(name, "tokens_per_s") == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: metric \"%.40s\" is an absolute time, which says as much about the machine as about the "
                          "program; expected \"speedup\", over a baseline of the same run",
                          where, name);
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: unknown metric \"%.40s\"; expected speedup, accuracy.NAME, memory_bytes.NAME, weight_bytes, "
                      "bits_per_weight or counters.NAME, by the names of results.json",
                      where, name);
}

/* ---- sentences -------------------------------------------------------------------------------------------------- */

/* What shows nothing: control characters, and the white space and invisible characters of Unicode. Bytes of UTF-8 are in the
 * order of their characters. */
static const struct {
    const char *first, *last;
} blanks[] = {{"\x01", " "},
              {"\x7f", "\x7f"},
              {"\xc2\x80", "\xc2\xa0"},
              {"\xc2\xad", "\xc2\xad"},
              {"\xe1\x9a\x80", "\xe1\x9a\x80"},
              {"\xe1\xa0\x8e", "\xe1\xa0\x8e"},
              {"\xe2\x80\x80", "\xe2\x80\x8f"},
              {"\xe2\x80\xa8", "\xe2\x80\xaf"},
              {"\xe2\x81\x9f", "\xe2\x81\xaf"},
              {"\xe3\x80\x80", "\xe3\x80\x80"},
              {"\xef\xbb\xbf", "\xef\xbb\xbf"}};

static bool is_blank(const char *text)
{
    for (size_t left = strlen(text), length; left > 0; text += length, left -= length) {
        bool blank = false;
        length = json_utf8_length(text, left);
        for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++)
            blank = blank || (strlen(blanks[i].first) == length && memcmp(text, blanks[i].first, length) >= 0 &&
                              memcmp(text, blanks[i].last, length) <= 0);
        if (length == 0 || !blank) return false;
    }
    return true;
}

/* ---- one limit -------------------------------------------------------------------------------------------------- */

static ciuic_status get_number(const cJSON *object, const char *where, const char *key, double min, double max,
                               double absent, double *out)
{
    *out = absent;
    return json_find(object, key) == NULL ? CIUIC_OK : json_get_double(object, where, key, min, max, out);
}

static ciuic_status get_bounds(const cJSON *item, const char *where, const char *key, gate_bounds *out)
{
    static const char *const keys[] = {"max", "min", "worse", "worse_by"};
    const cJSON *object = NULL;
    char place[PLACE + 16];
    *out = (gate_bounds){.max = NAN, .min = NAN};
    if (json_find(item, key) == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_object(item, where, key, &object));
    snprintf(place, sizeof place, "%s.%s", where, key);
    CIUIC_TRY(json_only_keys(object, place, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(get_number(object, place, "max", -1e18, 1e18, NAN, &out->max));
    CIUIC_TRY(get_number(object, place, "min", -1e18, 1e18, NAN, &out->min));
    CIUIC_TRY(get_number(object, place, "worse", 0.0, 1e6, 0.0, &out->worse));
    CIUIC_TRY(get_number(object, place, "worse_by", 0.0, 1e18, 0.0, &out->worse_by));
    out->given = true;
    out->relative = json_find(object, "worse") != NULL || json_find(object, "worse_by") != NULL;
    if (!out->relative && isnan(out->max) && isnan(out->min))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: no bound; expected max, min, worse or worse_by", place);
    if (out->min > out->max)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: min %g is above max %g; nothing could pass", place, out->min,
                          out->max);
    return CIUIC_OK;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool gate_date_valid(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(text) != 10) return false;
    for (int i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
    const int year = atoi(text), month = atoi(text + 5), day = atoi(text + 8);
    if (month < 1 || month > 12) return false;
    return day >= 1 && day <= days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

static ciuic_status get_waiver(const cJSON *item, const char *where, gate_limit *out)
{
    static const char *const keys[] = {"reason", "expires"};
    const cJSON *object = NULL;
    char place[PLACE + 16];
    if (json_find(item, "waiver") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_object(item, where, "waiver", &object));
    snprintf(place, sizeof place, "%s.waiver", where);
    CIUIC_TRY(json_only_keys(object, place, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(json_get_string(object, place, "reason", &out->waiver_reason));
    CIUIC_TRY(json_get_string(object, place, "expires", &out->waiver_expires));
    if (is_blank(out->waiver_reason))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: reason is empty; expected why this may fail for now", place);
    if (!gate_date_valid(out->waiver_expires))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expires \"%.40s\" is no date; expected one such as 2026-11-30", place,
                          out->waiver_expires);
    return CIUIC_OK;
}

/* A key that belongs to one kind of metric; `otherwise` when it may be left out. */
static ciuic_status get_choice(const cJSON *item, const char *where, const char *key, bool belongs,
                               const char *const *choices, const char *otherwise, const char **out)
{
    *out = belongs ? otherwise : NULL;
    if (!belongs && json_find(item, key) != NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s says nothing about this metric; leave it out", where, key);
    if (!belongs || (otherwise != NULL && json_find(item, key) == NULL)) return CIUIC_OK;
    char expected[128] = "";
    CIUIC_TRY(json_get_string(item, where, key, out));
    for (; *choices != NULL; choices++) {
        if (strcmp(*out, *choices) == 0) return CIUIC_OK;
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", used > 0 ? ", " : "", *choices);
    }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s \"%.40s\"; expected one of %s", where, key, *out, expected);
}

static ciuic_status get_recorded(const cJSON *item, const char *where, gate_limit *out)
{
    char place[PLACE + 16];
    if (json_find(item, "recorded") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_object(item, where, "recorded", &out->recorded));
    snprintf(place, sizeof place, "%s.recorded", where);
    for (const cJSON *value = out->recorded->child; value != NULL; value = value->next)
        if (!json_is_number(value))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: \"%.160s\" is not a number; --update records it", place,
                              value->string);
    if (gate_limit_recorded(out)) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_INPUT,
        "%s: no bound of the limit looks at what was recorded; expected worse or worse_by in hard or soft, "
        "or leave it out",
        place);
}

static ciuic_status parse_limit(cJSON *item, const char *where, gate_limit *out)
{
    static const char *const keys[] = {"id",     "description", "reason", "cases",  "metric",  "baseline",
                                       "source", "hard",        "soft",   "waiver", "recorded"};
    static const char *const baselines[] = {"naive", "tuned", "openblas", "onednn", NULL};
    static const char *const sources[] = {"simulated", "likwid", "perf_event", NULL};
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected a limit", where);
    *out = (gate_limit){.json = item};
    CIUIC_TRY(json_only_keys(item, where, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(json_get_string(item, where, "id", &out->id));
    CIUIC_TRY(json_get_string(item, where, "cases", &out->cases));
    const char *description = NULL;
    if (json_find(item, "description") != NULL) CIUIC_TRY(json_get_string(item, where, "description", &description));
    if (json_find(item, "reason") != NULL) CIUIC_TRY(json_get_string(item, where, "reason", &out->reason));
    if (out->reason != NULL && is_blank(out->reason))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: reason is empty; expected where the bounds come from", where);
    if (out->id[0] == '\0' || out->cases[0] == '\0')
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s is empty; expected %s", where, out->id[0] == '\0' ? "id" : "cases",
                          out->id[0] == '\0' ? "a name for the limit" : "a pattern of case ids, such as *int8*");
    CIUIC_TRY(get_metric(item, where, &out->metric));
    const gate_kind kind = out->metric.kind;
    CIUIC_TRY(get_choice(item, where, "baseline", kind == GATE_SPEED, baselines, "tuned", &out->baseline));
    CIUIC_TRY(get_choice(item, where, "source", kind == GATE_COUNTER, sources, "simulated", &out->source));
    CIUIC_TRY(get_bounds(item, where, "hard", &out->hard));
    CIUIC_TRY(get_bounds(item, where, "soft", &out->soft));
    if (!out->hard.given && !out->soft.given)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: neither hard nor soft; a limit without bounds checks nothing", where);
    CIUIC_TRY(get_waiver(item, where, out));
    return get_recorded(item, where, out);
}

bool gate_limit_recorded(const gate_limit *limit)
{
    return limit->hard.relative || limit->soft.relative;
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static ciuic_status parse_limits(gate_file *file, const char *name)
{
    const cJSON *limits = NULL;
    CIUIC_TRY(json_get_array(file->root, name, "limits", &limits));
    const size_t count = (size_t)cJSON_GetArraySize(limits);
    if (count == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: limits is empty; a gate without limits checks nothing", name);
    file->limits = calloc(count, sizeof *file->limits);
    if (file->limits == NULL) return ciuic_fail_memory("limits", count * sizeof *file->limits);
    for (cJSON *item = limits->child; item != NULL; item = item->next) {
        char where[PLACE];
        snprintf(where, sizeof where, "%.255s: limits[%zu]", name, file->count);
        gate_limit *limit = &file->limits[file->count];
        CIUIC_TRY(parse_limit(item, where, limit));
        for (size_t i = 0; i < file->count; i++)
            if (strcmp(file->limits[i].id, limit->id) == 0)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: id \"%.64s\" is that of limits[%zu], too; expected another",
                                  where, limit->id, i);
        file->count++;
    }
    return CIUIC_OK;
}

static ciuic_status parse_checkpoints(gate_file *file, const char *name)
{
    if (json_find(file->root, "checkpoints") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_object(file->root, name, "checkpoints", &file->checkpoints));
    for (const cJSON *item = file->checkpoints->child; item != NULL; item = item->next)
        if (!cJSON_IsString(item))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: checkpoints: \"%.64s\" is not a string; expected a digest", name,
                              item->string);
    return CIUIC_OK;
}

ciuic_status gate_file_take(cJSON *root, const char *name, gate_file *file)
{
    static const char *const keys[] = {"$schema", "schema_version", "description", "checkpoints", "compiler", "limits"};
    size_t version = 0;
    *file = (gate_file){.root = root};
    if (!cJSON_IsObject(root)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected a gate file", name);
    CIUIC_TRY(json_get_size(root, name, "schema_version", SCHEMA_VERSION, SCHEMA_VERSION, &version));
    CIUIC_TRY(json_only_keys(root, name, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(parse_checkpoints(file, name));
    if (json_find(root, "compiler") != NULL) CIUIC_TRY(json_get_string(root, name, "compiler", &file->compiler));
    return parse_limits(file, name);
}

ciuic_status gate_file_read(const char *path, gate_file *file)
{
    cJSON *root = NULL;
    *file = (gate_file){0};
    CIUIC_TRY(json_read_file(path, gate_file_max, &root));
    return gate_file_take(root, path, file);
}

void gate_file_free(gate_file *file)
{
    cJSON_Delete(file->root);
    free(file->limits);
    *file = (gate_file){0};
}
