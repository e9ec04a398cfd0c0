/* csv.c - see csv.h. */
#include "harness/report/csv.h"

#include <math.h>
#include <string.h>

#include "harness/plain_text.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void csv_text(FILE *stream, const char *text)
{
    fputc('"', stream);
    if (text[0] != '\0' && strchr("=+-@ \t\r\n", text[0]) != NULL) fputc('\'', stream);
    for (const char *c = text; *c != '\0'; c++) {
        const size_t mark = direction_mark(c);
        if (mark > 0) {
            fputc('?', stream);
            c += mark - 1;
            continue;
        }
        if (*c == '"') fputc('"', stream);
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, stream);
    }
    fputc('"', stream);
}

static void put_text(FILE *stream, const char *text)
{
    csv_text(stream, text);
    fputc(',', stream);
}

static void put_number(FILE *stream, double value)
{
    if (isfinite(value)) fprintf(stream, "%.9g", value);
    fputc(',', stream);
}

/* The last cell of a row takes no comma: it is the row's kind, which is always there. */
static void end_row(FILE *stream, const char *kind)
{
    csv_text(stream, kind);
    fputs("\r\n", stream);
}

static void put_header(FILE *stream, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) put_text(stream, names[i]);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* Members of a case by path. */
static const struct {
    const char *outer, *inner, *title;
} figures[] = {
    {"tokens_per_s", NULL, "tokens_per_s"},
    {"latency_s", "median", "latency_s"},
    {"latency_s", "low", "latency_low_s"},
    {"latency_s", "high", "latency_high_s"},
    {"ceiling_tokens_per_s", NULL, "ceiling_tokens_per_s"},
    {"bits_per_weight", NULL, "bits_per_weight"},
    {"memory_bytes", "mapped", "mapped_bytes"},
    {"memory_bytes", "weights", "weights_bytes"},
    {"memory_bytes", "packed", "of_weights_packed_bytes"},
    {"memory_bytes", "kv_cache", "kv_cache_bytes"},
    {"memory_bytes", "activations", "activations_bytes"},
    {"memory_bytes", "workspace", "workspace_bytes"},
    {"memory_bytes", "other", "other_bytes"},
    {"memory_bytes", "total", "total_bytes"},
    {"memory_bytes", "peak_rss", "peak_rss_bytes"},
    {"accuracy", "mean_abs_error", "mean_abs_error"},
    {"accuracy", "max_abs_error", "max_abs_error"},
    {"accuracy", "relative_l2", "relative_l2"},
    {"accuracy", "kl", "kl"},
    {"accuracy", "nll_rise", "nll_rise"},
    {"accuracy", "perplexity", "perplexity"},
    {"accuracy", "top1_agreement", "top1_agreement"},
};

/* Of memory_bytes.after_load: what is there once a variant is loaded. */
static const char *const kinds[] = {"mapped", "weights", "kv_cache", "activations", "workspace", "other", "total"};

static const char *const baselines[] = {"tuned", "naive", "openblas", "onednn"};

static void put_case(FILE *stream, const result_set *r, const result_case *c)
{
    const result_group *group = &r->groups[c->group];
    put_text(stream, c->id);
    put_text(stream, group->checkpoint);
    put_text(stream, group->phase);
    put_number(stream, (double)group->tokens);
    put_number(stream, (double)group->depth);
    put_number(stream, (double)group->batch);
    put_number(stream, (double)group->threads);
    put_text(stream, case_variant_name(c));
    put_text(stream, c->baseline != NULL ? c->baseline : "");
    put_text(stream, c->kernels);
    put_text(stream, c->status);
    put_text(stream, c->reason);
    for (size_t i = 0; i < COUNT(figures); i++) put_number(stream, case_number(c, figures[i].outer, figures[i].inner));
    for (size_t b = 0; b < COUNT(baselines); b++) {
        const cJSON *ratio = json_find(json_find(c->json, "ratios"), baselines[b]);
        put_number(stream, view_number(ratio, "value"));
        put_number(stream, view_number(ratio, "low"));
        put_number(stream, view_number(ratio, "high"));
    }
    const cJSON *after = json_find(json_find(c->json, "memory_bytes"), "after_load");
    for (size_t k = 0; k < COUNT(kinds); k++) put_number(stream, view_number(after, kinds[k]));
    end_row(stream, "measured");
}

void csv_cases(FILE *stream, const report_view *v)
{
    static const char *const first[] = {"case",    "checkpoint", "phase",    "tokens",  "depth",  "batch",
                                        "threads", "variant",    "baseline", "kernels", "status", "reason"};
    put_header(stream, first, COUNT(first));
    for (size_t i = 0; i < COUNT(figures); i++) put_text(stream, figures[i].title);
    for (size_t b = 0; b < COUNT(baselines); b++) {
        static const char *const ends[] = {"", "_low", "_high"};
        for (size_t e = 0; e < COUNT(ends); e++) {
            char title[64];
            snprintf(title, sizeof title, "over_%s%s", baselines[b], ends[e]);
            put_text(stream, title);
        }
    }
    for (size_t k = 0; k < COUNT(kinds); k++) {
        char title[64];
        snprintf(title, sizeof title, "after_load_%s_bytes", kinds[k]);
        put_text(stream, title);
    }
    end_row(stream, "source");
    for (size_t i = 0; i < v->r->case_count; i++) put_case(stream, v->r, &v->r->cases[i]);
    if (v->imported == NULL) return;
    /* Other programs' timings: a row each, with nothing but what they declare. */
    for (size_t i = 0; i < v->imported->count; i++) {
        const imported_timing *t = &v->imported->list[i];
        put_text(stream, t->name);
        put_text(stream, "");
        put_text(stream, t->phase != NULL ? t->phase : "");
        put_number(stream, t->tokens > 0 ? (double)t->tokens : NAN);
        put_number(stream, (double)t->depth);
        put_number(stream, NAN);
        put_number(stream, t->threads > 0 ? (double)t->threads : NAN);
        for (size_t k = 7; k < COUNT(first); k++) put_text(stream, "");
        put_number(stream, t->tokens_per_s);
        put_number(stream, t->median);
        put_number(stream, t->low);
        put_number(stream, t->high);
        for (size_t k = 4; k < COUNT(figures) + COUNT(kinds) + 3 * COUNT(baselines); k++) put_number(stream, NAN);
        end_row(stream, "imported");
    }
}

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

void csv_verdicts(FILE *stream, const report_view *v)
{
    static const char *const texts[] = {"claim", "metric", "case", "baseline", "baseline_case"};
    static const char *const numbers[] = {"threads",     "value", "low",    "high",          "rounds",
                                          "noise_floor", "p",     "p_holm", "ceiling_ratio", "both_at_ceiling"};
    put_header(stream, texts, COUNT(texts));
    put_header(stream, numbers, COUNT(numbers));
    put_text(stream, "headline");
    put_text(stream, "reason");
    end_row(stream, "verdict");
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, json_find(v->r->root, "verdicts"))
    {
        for (size_t i = 0; i < COUNT(texts); i++) put_text(stream, view_text(entry, texts[i], ""));
        for (size_t i = 0; i < COUNT(numbers); i++) put_number(stream, view_number(entry, numbers[i]));
        put_text(stream, cJSON_IsTrue(json_find(entry, "headline")) ? "yes" : "no");
        put_text(stream, view_text(entry, "reason", ""));
        end_row(stream, view_text(entry, "verdict", ""));
    }
}
