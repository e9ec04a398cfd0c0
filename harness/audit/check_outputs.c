/* check_outputs.c - whether what is timed computes what was scored: the digests meet, and on token ids that nobody could
 * know before, the logits of the program under audit are those that this program computes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/audit/inputs.h"
#include "harness/audit/probe.h"
#include "optimizer/json.h"

/* Rows of fresh ids whose last logits are compared. */
enum { FRESH_ROWS = 4 };

/* Two builds of one variant differ by rounding: well below the error that quantising has, which rounding can turn into
 * another code now and then, and for 16-bit weights below 2^-9, twice the step of half precision. Half of either is wide;
 * a layer left out is tens of percent. */
static const double own_share = 0.5, own_least = 0x1p-8;
/* The error of one position is within a few times the average over many. */
static const double reference_share = 5, reference_least = 0x1p-8;

/* Squared sums over all rows compared so far. */
typedef struct distance {
    double difference, reference;
} distance;

static double relative(const distance *d)
{
    return d->reference > 0 ? sqrt(d->difference / d->reference) : NAN;
}

static void add_rows(distance *d, const float *values, const float *reference, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double delta = (double)values[i] - (double)reference[i];
        d->difference += delta * delta; /* a NaN stays, and passes nothing */
        d->reference += (double)reference[i] * (double)reference[i];
    }
}

static float *read_logits(const char *path, size_t vocabulary)
{
    float *logits = calloc(vocabulary + 1, sizeof *logits);
    FILE *file = logits != NULL ? fopen(path, "re") : NULL;
    const bool whole = file != NULL && fread(logits, sizeof *logits, vocabulary + 1, file) == vocabulary;
    if (file != NULL) fclose(file);
    if (whole) return logits;
    free(logits);
    return NULL;
}

typedef struct comparison {
    audit_subject *subject;
    const audited_case *c;
    audit_inputs inputs;
    probe audited, own, reference;
    distance to_own, to_reference, own_to_reference;
    size_t silent;                    /* rows for which the program gave no logits, or others than it digested */
    char outputs[FRESH_ROWS + 1][65]; /* digests of the program under audit; the first is of the workload's own ids */
} comparison;

/* The logits after one repetition on `ids`, two rows of them: NULL when there are none. */
static ciuic_status logits_on(const comparison *k, probe *p, const int32_t *ids, char output[65], float **logits)
{
    char path[AUDIT_PATH];
    probe_sample sample;
    *logits = NULL;
    subject_path(k->subject, "logits.f32", path);
    remove(path);
    CIUIC_TRY(probe_measure(p, 1, ids, k->c->order.tokens, path, &sample));
    if (output != NULL) snprintf(output, 65, "%s", sample.output);
    if (p->failed[0] != '\0') return CIUIC_OK;
    *logits = read_logits(path, k->inputs.vocabulary);
    if (*logits == NULL) return CIUIC_OK;
    const sha256_hex digest = sha256_data(*logits, k->inputs.vocabulary * sizeof **logits);
    if (strcmp(digest.text, sample.output) == 0) return CIUIC_OK;
    free(*logits);
    *logits = NULL;
    return CIUIC_OK;
}

static ciuic_status compare_row(comparison *k, size_t row)
{
    const size_t tokens = k->c->order.tokens;
    float *audited = NULL, *own = NULL, *reference = NULL;
    int32_t *ids = malloc(2 * tokens * sizeof *ids);
    if (ids == NULL) return ciuic_fail_memory("the token ids", 2 * tokens * sizeof *ids);
    inputs_draw(k->subject, &k->inputs, 2, tokens, ids);
    ciuic_status status = logits_on(k, &k->audited, ids, k->outputs[row + 1], &audited);
    if (status == CIUIC_OK) status = logits_on(k, &k->own, ids, NULL, &own);
    if (status == CIUIC_OK) status = logits_on(k, &k->reference, ids, NULL, &reference);
    if (audited == NULL) k->silent++;
    if (audited != NULL && own != NULL) add_rows(&k->to_own, audited, own, k->inputs.vocabulary);
    if (audited != NULL && reference != NULL) add_rows(&k->to_reference, audited, reference, k->inputs.vocabulary);
    if (own != NULL && reference != NULL) add_rows(&k->own_to_reference, own, reference, k->inputs.vocabulary);
    free(ids);
    free(audited);
    free(own);
    free(reference);
    return status;
}

static cJSON *numbers_of(const comparison *k)
{
    cJSON *numbers = cJSON_CreateObject();
    json_add_size(numbers, "rows", FRESH_ROWS);
    json_add_double(numbers, "relative_l2_to_this_program", relative(&k->to_own));
    json_add_double(numbers, "relative_l2_to_reference", relative(&k->to_reference));
    json_add_double(numbers, "relative_l2_of_this_program", relative(&k->own_to_reference));
    return numbers;
}

static bool any_alike(const comparison *k)
{
    for (size_t i = 0; i <= FRESH_ROWS; i++)
        for (size_t j = 0; j < i; j++)
            if (k->outputs[i][0] != '\0' && strcmp(k->outputs[i], k->outputs[j]) == 0) return true;
    return false;
}

static ciuic_status judge_fresh(const comparison *k, audit_findings *f)
{
    const char *id = k->c->result->id;
    const double published = case_number(k->c->result, "accuracy", "relative_l2");
    const double error = fmax(relative(&k->own_to_reference), isnan(published) ? 0 : published);
    const double own_most = fmax(own_share * error, own_least), most = fmax(reference_share * error, reference_least);
    const double to_own = relative(&k->to_own), to_reference = relative(&k->to_reference);
    const probe *const probes[] = {&k->audited, &k->own, &k->reference};
    for (size_t i = 0; i < 3; i++)
        if (probes[i]->failed[0] != '\0')
            return audit_find(f, AUDIT_OUTPUTS, id, AUDIT_IMPOSSIBLE, NULL, "%s", probes[i]->failed);
    if (any_alike(k))
        return audit_find(f, AUDIT_OUTPUTS, id, AUDIT_FAILED, numbers_of(k),
                          "different token ids end in the very same logits");
    if (k->silent > 0)
        return audit_find(f, AUDIT_OUTPUTS, id, AUDIT_IMPOSSIBLE, NULL,
                          "the program under audit does not hand out its logits, or others than it digests");
    const bool good = to_own <= own_most && to_reference <= most;
    return audit_find(f, AUDIT_OUTPUTS, id, good ? AUDIT_PASSED : AUDIT_FAILED, numbers_of(k),
                      "on %d fresh rows of ids, logits are %.3g from those that this program computes for the same "
                      "variant (at most %.3g) and %.3g from the reference's (at most %.3g)",
                      FRESH_ROWS, to_own, own_most, to_reference, most);
}

/* What the results say about digests, and what the program under audit says now. */
static ciuic_status judge_recorded(const comparison *k, audit_findings *f)
{
    const result_case *c = k->c->result;
    const char *scored = cJSON_GetStringValue(json_find(c->json, "output_sha256"));
    const char *timed = cJSON_GetStringValue(json_find(c->json, "timed_output_sha256"));
    const char *now = k->outputs[0];
    if (cJSON_IsFalse(json_find(c->json, "outputs_match")) ||
        (scored != NULL && timed != NULL && strcmp(scored, timed) != 0))
        return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_FAILED, NULL,
                          "what was timed ended with other logits than what was scored");
    if (strcmp(now, probe_output(&k->audited)) != 0)
        return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_FAILED, NULL,
                          "the timed repetition ends with other logits than the first one, on the same ids");
    const char *recorded = scored != NULL ? scored : timed;
    if (recorded == NULL)
        return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_IMPOSSIBLE, NULL, "the results carry no digest of the output");
    if (strcmp(recorded, now) == 0)
        return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_PASSED, NULL,
                          "the logits of the timed run, of the scored run and of a run now are the same (%.12s...)",
                          now);
    if (k->subject->same_program && k->subject->same_cpu)
        return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_FAILED, NULL,
                          "a run now, by the program that made the results, ends with other logits: %.12s..., recorded "
                          "%.12s...",
                          now, recorded);
    return audit_find(f, AUDIT_OUTPUTS, c->id, AUDIT_INCONCLUSIVE, NULL,
                      "another build or CPU may round otherwise: logits %.12s..., recorded %.12s...; errors say more",
                      now, recorded);
}

static ciuic_status load_three(comparison *k)
{
    const audited_case *c = k->c;
    CIUIC_TRY(inputs_open(c, &k->inputs));
    CIUIC_TRY(probe_load(k->subject, PROBE_AUDITED, &c->order, &c->variant, &k->audited));
    CIUIC_TRY(probe_load(k->subject, PROBE_OWN, &c->order, &c->variant, &k->own));
    CIUIC_TRY(probe_load(k->subject, PROBE_OWN, &c->order, &audit_reference, &k->reference));
    probe_sample sample;
    CIUIC_TRY(probe_measure(&k->audited, 1, NULL, 0, NULL, &sample));
    snprintf(k->outputs[0], sizeof k->outputs[0], "%s", sample.output);
    return CIUIC_OK;
}

ciuic_status check_outputs(audit_subject *s, const audited_case *c, audit_findings *f)
{
    comparison k = {.subject = s, .c = c};
    ciuic_status status = load_three(&k);
    for (size_t row = 0; row < FRESH_ROWS && status == CIUIC_OK; row++) status = compare_row(&k, row);
    if (status == CIUIC_OK && k.outputs[0][0] != '\0') status = judge_recorded(&k, f);
    if (status == CIUIC_OK) status = judge_fresh(&k, f);
    probe_stop(&k.audited);
    probe_stop(&k.own);
    probe_stop(&k.reference);
    inputs_close(&k.inputs);
    return status;
}
