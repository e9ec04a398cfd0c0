/* takes.c - what would make a claim true: bytes, bits per weight, a share of the ceiling, rounds. Arithmetic on what was
 * measured, said as such. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/holds.h"
#include "harness/judge/limit_evidence.h"
#include "harness/judge/verdicts.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static void put_bytes(char *text, size_t size, double bytes)
{
    if (bytes >= 1e9)
        plain_append(text, size, "%.2f GB", bytes / 1e9);
    else
        plain_append(text, size, bytes >= 1e5 ? "%.1f MB" : "%.3f MB", bytes / 1e6);
}

static bool is_open(const cJSON *v)
{
    return strcmp(cJSON_GetStringValue(json_find(v, "verdict")), "inconclusive") == 0;
}

/* ---- speed ------------------------------------------------------------------------------------------------------ */

/* An interval shrinks with the root of the rounds. `low` and `high` are its ends, `bound` what lies between them or too near
 * to one of them, `floor` the noise that no number of rounds takes away. */
static void take_rounds(const cJSON *v, double bound, char *text, size_t size)
{
    const double value = json_number(v, "value"), low = json_number(v, "low"), high = json_number(v, "high");
    const double floor = json_number(v, "noise_floor"), rounds = json_number(v, "rounds");
    const double half = log(high / low) / 2.0, room = fabs(log(value / bound)) - log1p(floor);
    if (!(rounds > 0.0) || isnan(half) || isnan(room))
        plain_append(text, size, "enough rounds for an interval, with tuned measured twice in each");
    else if (room <= 0.0)
        plain_append(
            text, size,
            "a quieter machine: %.2fx is nearer to %.2fx than the noise floor, %.1f%%, and more rounds do not change "
            "that",
            value, bound, 100.0 * floor);
    else
        plain_append(text, size, "about %.0f rounds instead of %.0f",
                     ceil(fmax(rounds + 1, rounds * pow(half / room, 2.0))), rounds);
}

static void take_speed(const claim *about, const cJSON *v, const result_case *c, char *text, size_t size)
{
    const double most = json_number(v, "ceiling_ratio"), reached = json_number(v, "value");
    const double asked = claim_bound(about, reached);
    const double bytes = case_number(c, "ceiling", "bytes_per_token"), bits = case_number(c, "bits_per_weight", NULL);
    const char *bound = cJSON_GetStringValue(json_find(json_find(c->json, "ceiling"), "bound"));
    if (is_open(v)) {
        take_rounds(v, asked, text, size);
        return;
    }
    if (reached > asked) { /* too fast */
        plain_append(text, size, "%.0f%% more time: it is faster than the most claimed, %.2fx",
                     100.0 * (reached / asked - 1.0), asked);
        return;
    }
    if (isnan(most) || bound == NULL) return;
    if (most >= asked) {
        plain_append(text, size, "%.2fx is %.0f%% of its ceiling (%.2fx), and it reaches %.0f%% of that", asked,
                     100.0 * asked / most, most, 100.0 * reached / most);
        return;
    }
    plain_append(text, size, "out of reach for it: even at its ceiling it is %.2fx", most);
    if (strcmp(bound, "memory") == 0 && bytes > 0.0) {
        plain_append(text, size, "; it takes reading at most ");
        put_bytes(text, size, bytes * most / asked);
        plain_append(text, size, " for each token instead of ");
        put_bytes(text, size, bytes);
        if (bits > 0.0)
            plain_append(text, size, " (were that weights alone: %.1f bits each, not %.1f)", bits * most / asked, bits);
    } else if (strcmp(bound, "compute") == 0) {
        plain_append(text, size, "; arithmetic bounds it, so it takes faster instructions, not fewer bits");
    }
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

/* What is left for weights when all the rest stays as it is, and how many bits each may then have. */
static void take_memory(const claim *about, const cJSON *v, const result_case *base, const result_case *c, char *text,
                        size_t size)
{
    const char *field = about->metric->field;
    const double saved = json_number(v, "value"), asked = claim_bound(about, saved);
    const double allowed = (1.0 - asked) * case_number(base, "memory_bytes", field);
    const double has = case_number(c, "memory_bytes", field), bits = case_number(c, "bits_per_weight", NULL);
    const double weights = case_number(c, "memory_bytes", "weights") + case_number(c, "memory_bytes", "mapped");
    const double rest = has - weights;
    if (isnan(allowed) || isnan(rest) || !(weights > 0.0)) return;
    if (is_open(v)) {
        plain_append(text, size, "a difference from ");
        put_bytes(text, size, allowed);
        plain_append(text, size, " beyond the noise floor, %.1f%%, instead of ", 100.0 * json_number(v, "noise_floor"));
        put_bytes(text, size, has);
        return;
    }
    plain_append(text, size, saved > asked ? "at least " : "at most ");
    put_bytes(text, size, allowed);
    plain_append(text, size, " instead of ");
    put_bytes(text, size, has);
    if (saved > asked) plain_append(text, size, ", since it saves more than the most claimed");
    if (rest >= allowed) {
        plain_append(text, size, "; what is not weights (");
        put_bytes(text, size, rest);
        plain_append(text, size, ") is more than that already, so no number of bits is enough");
    } else if (bits > 0.0) {
        plain_append(text, size, ": with the rest as it is (");
        put_bytes(text, size, rest);
        plain_append(text, size, "), %.1f bits per weight instead of %.1f", bits * (allowed - rest) / weights, bits);
    }
}

static void take_limit(const cJSON *v, double limit, char *text, size_t size)
{
    const double share = json_number(v, "value");
    if (isnan(share)) return;
    plain_append(text, size, "a limit of at least ");
    put_bytes(text, size, limit * share);
}

/* ---- error ------------------------------------------------------------------------------------------------------ */

/* The step of rounding halves with each bit, and with it the error of the weights; what grows as its square falls to a
 * quarter. Activations in fewer bits add what this leaves out, hence "at least". */
static void take_error(const claim *about, const cJSON *v, const result_case *c, char *text, size_t size)
{
    const char *field = about->metric->field;
    const double has = json_number(v, "value"), bits = case_number(c, "bits_per_weight", NULL);
    const bool square = field == NULL || strcmp(field, "kl") == 0;
    if (isnan(about->max) || !(has > about->max) || !(about->max > 0.0)) return;
    plain_append(text, size, "an error %.1f times smaller", has / about->max);
    if (bits > 0.0 && (field == NULL || strcmp(field, "top1_agreement") != 0))
        plain_append(text, size, ": at least %.1f bits per weight instead of %.1f, each bit %s it",
                     bits + log2(has / about->max) / (square ? 2.0 : 1.0), bits, square ? "quartering" : "halving");
}

void takes_write(const result_set *r, const claim *about, const cJSON *verdict_json, const result_case *base,
                 const result_case *c, char *text, size_t size)
{
    text[0] = '\0';
    if (isnan(json_number(verdict_json, "value"))) return;
    switch (about->metric->kind) {
    case METRIC_SPEED:
        take_speed(about, verdict_json, c, text, size);
        break;
    case METRIC_MEMORY:
        if (base != NULL) take_memory(about, verdict_json, base, c, text, size);
        break;
    case METRIC_LIMIT:
        take_limit(verdict_json, limit_evidence_limit(r, about, base, c), text, size);
        break;
    case METRIC_ERROR:
        take_error(about, verdict_json, c, text, size);
        break;
    }
}
