/* check_weights.c - whether every layer is computed: with its weights altered, the logits must move, and the speed must not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/audit/checkpoint_copy.h"
#include "harness/audit/checks.h"
#include "harness/audit/probe.h"
#include "harness/audit/temporary.h"
#include "harness/audit/timing.h"
#include "harness/commands.h"
#include "optimizer/json.h"

/* Loading dominates: all layers where that takes no longer than this in all, otherwise the first, one in the middle that the
 * seed chooses, and the last. */
static const double patience_s = 60;

typedef struct alteration {
    audit_subject *subject;
    const audited_case *c;
    checkpoint *original;
    char folder[AUDIT_PATH];
    load_order order; /* of the copy */
    char unaltered[65], unaltered_own[65];
    size_t altered, unmoved, skipped;
    char names[160]; /* of what moved nothing */
    char failed[WORKER_REASON_MAX];
} alteration;

/* The digest that a worker ends its first run with, on the copy as it is now. */
static ciuic_status output_of(alteration *a, probe_program program, char output[65])
{
    probe p = {0};
    const ciuic_status status = probe_load(a->subject, program, &a->order, &a->c->variant, &p);
    snprintf(output, 65, "%s", probe_output(&p));
    if (p.failed[0] != '\0') snprintf(a->failed, sizeof a->failed, "%s", p.failed);
    probe_stop(&p);
    return status;
}

/* Whether this program's own output moves; asked only when that of the program under audit did not. A part that does not
 * matter to an honest program, such as one whose experts are not chosen, proves nothing. */
static ciuic_status ought_to_move(alteration *a, bool *ought)
{
    char output[65];
    *ought = true;
    if (a->subject->options->binary == NULL) return CIUIC_OK;
    CIUIC_TRY(output_of(a, PROBE_OWN, output));
    *ought = strcmp(output, a->unaltered_own) != 0;
    return CIUIC_OK;
}

static ciuic_status try_part(alteration *a, size_t layer, layer_part part)
{
    size_t matrices = 0;
    char output[65];
    bool ought = true;
    CIUIC_TRY(checkpoint_alter(a->original, a->folder, layer, part, &matrices));
    if (matrices == 0) {
        a->skipped++;
        return CIUIC_OK;
    }
    ciuic_status status = output_of(a, PROBE_AUDITED, output);
    if (status == CIUIC_OK && strcmp(output, a->unaltered) == 0) {
        status = ought_to_move(a, &ought);
        const size_t used = strlen(a->names);
        if (ought && a->failed[0] == '\0') {
            a->unmoved++;
            snprintf(a->names + used, sizeof a->names - used, "%slayer %zu's %s", used > 0 ? ", " : "", layer,
                     layer_part_name(part));
        }
    }
    a->altered++;
    const ciuic_status restored = checkpoint_restore(a->original, a->folder, layer, part);
    return status != CIUIC_OK ? status : restored;
}

static ciuic_status try_layers(alteration *a)
{
    const size_t layers = checkpoint_config(a->original)->layers;
    const double load_s = case_number(a->c->result, "load_s", NULL);
    const bool all = layers <= 3 || !(load_s * 2 * (double)layers > patience_s);
    const size_t middle = layers > 2 ? 1 + subject_draw(a->subject, layers - 2) : 0;
    for (size_t layer = 0; layer < layers; layer++) {
        if (!all && layer != 0 && layer != middle && layer + 1 != layers) continue;
        for (layer_part part = LAYER_ATTENTION; part < LAYER_PARTS; part++)
            if (a->failed[0] == '\0') CIUIC_TRY(try_part(a, layer, part));
    }
    return CIUIC_OK;
}

static ciuic_status judge_outputs(const alteration *a, audit_findings *f)
{
    const char *id = a->c->result->id;
    cJSON *numbers = cJSON_CreateObject();
    json_add_size(numbers, "altered", a->altered);
    json_add_size(numbers, "unmoved", a->unmoved);
    if (a->failed[0] != '\0')
        return audit_find(f, AUDIT_WEIGHTS, id, AUDIT_IMPOSSIBLE, numbers, "with altered weights: %s", a->failed);
    if (a->altered == 0)
        return audit_find(f, AUDIT_WEIGHTS, id, AUDIT_IMPOSSIBLE, numbers, "no matrix of a layer goes by a known name");
    if (a->unmoved > 0)
        return audit_find(f, AUDIT_WEIGHTS, id, AUDIT_FAILED, numbers,
                          "%zu of %zu alterations change not one bit of the logits: %s; it is not computed", a->unmoved,
                          a->altered, a->names);
    return audit_find(f, AUDIT_WEIGHTS, id, AUDIT_PASSED, numbers,
                      "each of %zu altered parts of layers moves the logits", a->altered);
}

/* ---- the speed with altered weights ----------------------------------------------------------------------------- */

/* Beyond the noise: another allocation of the same matrices has another alignment to pages and caches. A cache of answers
 * that is keyed by weights makes several times. */
static const double speed_band = 0.25;

/* The last layer's MLP is altered: no router stands behind it, so that the same experts do the same work. */
static ciuic_status time_altered(alteration *a, audit_findings *f)
{
    probe original = {0}, altered = {0};
    timing_side sides[3] = {{.probe = &original}, {.probe = &original}, {.probe = &altered}};
    timing t = {.subject = a->subject, .c = a->c, .sides = sides, .count = 3, .twins = {0, 1}};
    const size_t layers = checkpoint_config(a->original)->layers;
    size_t matrices = 0;
    ciuic_status status = checkpoint_alter(a->original, a->folder, layers - 1, LAYER_MLP, &matrices);
    if (status == CIUIC_OK && matrices == 0) return CIUIC_OK;
    if (status == CIUIC_OK) status = probe_load(a->subject, PROBE_AUDITED, &a->c->order, &a->c->variant, &original);
    if (status == CIUIC_OK) status = probe_load(a->subject, PROBE_AUDITED, &a->order, &a->c->variant, &altered);
    if (status == CIUIC_OK) status = timing_run(&t);
    if (status == CIUIC_OK && timing_failed(&t)[0] != '\0')
        status =
            audit_find(f, AUDIT_WEIGHTS, a->c->result->id, AUDIT_IMPOSSIBLE, NULL, "timing: %s", timing_failed(&t));
    else if (status == CIUIC_OK) {
        const timed_ratio ratio = timing_ratio(&t, 2, 0);
        const double most = timing_margin(ratio.floor, speed_band);
        status =
            audit_find(f, AUDIT_WEIGHTS, a->c->result->id, timing_alike(&ratio, speed_band, true), timed_json(&ratio),
                       "time with altered weights over time without: %.3f (%.3f to %.3f; expected %.2f to %.2f)",
                       ratio.value.median, ratio.value.low, ratio.value.high, 1 / most, most);
    }
    probe_stop(&original);
    probe_stop(&altered);
    return status;
}

static ciuic_status run(alteration *a, audit_findings *f)
{
    if (checkpoint_copy(a->original, a->folder) != CIUIC_OK)
        return command_interrupted()
                   ? CIUIC_ERROR_INTERRUPTED
                   : audit_find(f, AUDIT_WEIGHTS, a->c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s", ciuic_last_error());
    CIUIC_TRY(output_of(a, PROBE_AUDITED, a->unaltered));
    if (a->subject->options->binary != NULL) CIUIC_TRY(output_of(a, PROBE_OWN, a->unaltered_own));
    if (a->failed[0] == '\0') CIUIC_TRY(try_layers(a));
    CIUIC_TRY(judge_outputs(a, f));
    return a->failed[0] == '\0' && !a->subject->options->untimed ? time_altered(a, f) : CIUIC_OK;
}

ciuic_status check_weights(audit_subject *s, const audited_case *c, audit_findings *f)
{
    alteration a = {.subject = s, .c = c, .order = c->order};
    CIUIC_TRY(checkpoint_open(c->order.checkpoint, &a.original));
    snprintf(a.folder, sizeof a.folder, "%s/altered-%zu", s->folder, subject_draw(s, (size_t)1 << 40));
    a.order.checkpoint = a.folder;
    a.order.windows = 0;
    const ciuic_status status = run(&a, f);
    checkpoint_release(a.original);
    temporary_remove(strdup(a.folder)); /* the next case needs the room */
    return status;
}
