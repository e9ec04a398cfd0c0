/* plot_data.c - what is plotted. Labels come from files, and go through draw_label. */
#include "harness/report/plot_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/draw.h"
#include "harness/report/memory_kinds.h"
#include "optimizer/json.h"

static void put_label(FILE *out, const char *text)
{
    draw_label(out, text, 60);
}

/* A field and its tab; "?" is what the scripts call missing. */
static void put_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.9g\t", value);
    else
        fputs("?\t", out);
}

/* An interval's ends fall back to the value where there are too few rounds for one. */
static void put_interval(FILE *out, double value, double low, double high)
{
    put_number(out, value);
    put_number(out, isfinite(low) ? low : value);
    put_number(out, isfinite(high) ? high : value);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

typedef struct row {
    const result_case *c;
    double key; /* sorted by this, largest first */
} row;

static int compare_rows(const void *x, const void *y)
{
    const row *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? 1 : -1;
    return strcmp(a->c->id, b->c->id); /* the same order every time */
}

typedef double row_key(const result_set *r, const result_case *c);

static double over_tuned(const result_set *r, const result_case *c)
{
    return c == r->groups[c->group].tuned ? 1.0
                                          : json_number(json_find(json_find(c->json, "ratios"), "tuned"), "value");
}

static double total_bytes(const result_set *r, const result_case *c)
{
    (void)r;
    return case_number(c, "memory_bytes", "total");
}

/* Zero would be nowhere on a logarithmic axis. */
static double drawn_error(const result_set *r, const result_case *c)
{
    (void)r;
    const double error = case_number(c, "accuracy", "mean_abs_error");
    return error <= 0.0 ? PLOT_ZERO_ERROR : error;
}

/* The cases of a group that have a finite key, sorted; *rows is to be freed. */
static size_t sorted_rows(const result_set *r, size_t group, row_key *key, row **rows)
{
    size_t n = 0;
    *rows = calloc(r->case_count > 0 ? r->case_count : 1, sizeof **rows);
    for (size_t i = 0; i < r->case_count && *rows != NULL; i++) {
        const result_case *c = &r->cases[i];
        if (c->group != group || c->twin || !case_ok(c) || !isfinite(key(r, c))) continue;
        (*rows)[n++] = (row){c, key(r, c)};
    }
    if (n > 0) qsort(*rows, n, sizeof **rows, compare_rows);
    return n;
}

/* 0: a variant, 1: all stages on, 2: a baseline. */
static int kind_of(const result_set *r, const result_case *c)
{
    return c->baseline != NULL ? 2 : is_all_on(r, c) ? 1 : 0;
}

static void put_name(FILE *out, const result_case *c)
{
    const char *name = case_variant_name(c);
    char text[128];
    const bool named = c->baseline != NULL && strcmp(name, c->baseline) != 0;
    snprintf(text, sizeof text, "%.80s%s%.24s%s", name, named ? " (" : "", named ? c->baseline : "", named ? ")" : "");
    put_label(out, text);
    fputc('\t', out);
}

/* ---- plots ------------------------------------------------------------------------------------------------------ */

size_t plot_data_speedup(const result_set *r, size_t group, FILE *out)
{
    row *rows = NULL;
    const size_t n = sorted_rows(r, group, over_tuned, &rows);
    for (size_t i = 0; i < n; i++) {
        const cJSON *ratio = json_find(json_find(rows[i].c->json, "ratios"), "tuned");
        fprintf(out, "%zu\t", i);
        put_name(out, rows[i].c);
        put_interval(out, rows[i].key, json_number(ratio, "low"), json_number(ratio, "high"));
        fprintf(out, "%d\t%.2fx\n", kind_of(r, rows[i].c), rows[i].key);
    }
    free(rows);
    return n;
}

static void put_effect(FILE *out, const cJSON *effect)
{
    const double value = json_number(effect, "value");
    put_interval(out, value, json_number(effect, "low"), json_number(effect, "high"));
    if (isfinite(value))
        fprintf(out, "%.2fx", value);
    else
        fputc('?', out);
}

size_t plot_data_stages(const result_set *r, size_t group, FILE *out)
{
    size_t n = 0;
    const cJSON *stages = json_find(r->root, "stages"), *first_all_on = NULL;
    for (const cJSON *s = stages != NULL ? stages->child : NULL; s != NULL; s = s->next) {
        const char *all_on = cJSON_GetStringValue(json_find(s, "all_on"));
        const char *stage = cJSON_GetStringValue(json_find(s, "stage"));
        const result_case *c = NULL;
        for (size_t i = 0; i < r->case_count && all_on != NULL; i++)
            if (strcmp(r->cases[i].id, all_on) == 0) c = &r->cases[i];
        if (c == NULL || c->group != group || stage == NULL) continue;
        if (first_all_on == NULL) first_all_on = json_find(s, "all_on");
        /* Alone, a stage other than quantize is the same measurement for every format: it is drawn once. */
        const bool repeated = strcmp(stage, "quantize") != 0 && strcmp(first_all_on->valuestring, all_on) != 0;
        const cJSON *alone = repeated ? NULL : json_find(s, "alone"), *last = json_find(s, "last");
        if (!isfinite(json_number(alone, "value")) && !isfinite(json_number(last, "value"))) continue;
        char label[96];
        snprintf(label, sizeof label, "%.24s: %.40s", c->quantize, stage);
        fprintf(out, "%zu\t", n++);
        put_label(out, label);
        fputc('\t', out);
        put_effect(out, alone);
        fputc('\t', out);
        put_effect(out, last);
        fputc('\n', out);
    }
    return n;
}

/* One bar of a way from 1 to the whole speed-up; the interval is that of the stage's own factor. */
static void put_bar(FILE *out, size_t place, const char *label, double begin, const cJSON *factor, bool whole)
{
    const double value = json_number(factor, "value");
    fprintf(out, "%zu\t", place);
    put_label(out, label);
    fputc('\t', out);
    put_number(out, begin);
    put_interval(out, begin * value, begin * json_number(factor, "low"), begin * json_number(factor, "high"));
    fprintf(out, "%.2fx\t%d\n", value, whole ? 1 : 0);
}

size_t plot_data_attribution(const result_set *r, size_t group, FILE *out)
{
    size_t n = 0;
    const cJSON *entry = NULL, *stage = NULL;
    cJSON_ArrayForEach(entry, json_find(r->root, "attribution"))
    {
        const char *all_on = cJSON_GetStringValue(json_find(entry, "all_on"));
        const cJSON *speedup = json_find(entry, "speedup");
        const result_case *c = NULL;
        char label[96];
        double reached = 1.0;
        for (size_t i = 0; i < r->case_count && all_on != NULL; i++)
            if (strcmp(r->cases[i].id, all_on) == 0) c = &r->cases[i];
        if (c == NULL || c->group != group || !isfinite(json_number(speedup, "value"))) continue;
        cJSON_ArrayForEach(stage, json_find(entry, "stages"))
        {
            const cJSON *factor = json_find(stage, "factor"), *name = json_find(stage, "stage");
            if (!cJSON_IsString(name)) continue;
            snprintf(label, sizeof label, "%.24s: %.40s", c->quantize, name->valuestring);
            put_bar(out, n++, label, reached, factor, false);
            reached *= json_number(factor, "value");
        }
        snprintf(label, sizeof label, "%.24s: all on", c->quantize);
        put_bar(out, n++, label, 1.0, speedup, true);
    }
    return n;
}

size_t plot_data_memory(const result_set *r, size_t group, FILE *out)
{
    row *rows = NULL;
    const size_t n = sorted_rows(r, group, total_bytes, &rows);
    for (size_t i = 0; i < n; i++) {
        double end = 0.0, bytes[MEMORY_KINDS];
        memory_kinds_of(rows[i].c, bytes);
        fprintf(out, "%zu\t", i);
        put_name(out, rows[i].c);
        for (size_t k = 0; k < MEMORY_KINDS; k++) {
            end += isfinite(bytes[k]) ? bytes[k] / 1e6 : 0.0;
            put_number(out, end);
        }
        put_number(out, case_number(rows[i].c, "memory_bytes", "peak_rss") / 1e6);
        fprintf(out, "%.1f\n", rows[i].key / 1e6);
    }
    free(rows);
    return n;
}

size_t plot_data_error(const result_set *r, size_t group, FILE *out)
{
    row *rows = NULL;
    const size_t n = sorted_rows(r, group, drawn_error, &rows);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%zu\t", i);
        put_name(out, rows[i].c);
        put_number(out, rows[i].key);
        fprintf(out, "%.2g\n", case_number(rows[i].c, "accuracy", "mean_abs_error"));
    }
    free(rows);
    return n;
}

size_t plot_data_tradeoff(const result_set *r, size_t group, FILE *out)
{
    row *rows = NULL;
    const size_t n = sorted_rows(r, group, over_tuned, &rows); /* fastest first */
    size_t written = 0;
    for (size_t i = 0; i < n; i++) {
        const result_case *c = rows[i].c;
        if (!isfinite(drawn_error(r, c))) continue;
        const cJSON *ratio = json_find(json_find(c->json, "ratios"), "tuned");
        bool fastest = true; /* of its format: only these are labelled */
        for (size_t j = 0; j < i; j++) fastest = fastest && strcmp(rows[j].c->quantize, c->quantize) != 0;
        put_number(out, drawn_error(r, c));
        put_interval(out, rows[i].key, json_number(ratio, "low"), json_number(ratio, "high"));
        fprintf(out, "%d\t", is_all_on(r, c) ? 1 : 0);
        put_label(out, fastest ? c->quantize : " ");
        fputc('\n', out);
        written++;
    }
    free(rows);
    return written;
}
