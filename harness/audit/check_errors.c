/* check_errors.c - whether errors and bytes reproduce: this program computes them itself, with a reference of its own, on the
 * evaluation ids that the results name, and then on others. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/audit/inputs.h"
#include "harness/audit/probe.h"
#include "harness/measure/case_ceiling.h"
#include "optimizer/json.h"

/* Metrics with a standard error, and two without that edits would be worth. */
static const char *const metrics[] = {"nll",         "perplexity", "nll_rise", "mean_abs_error", "max_abs_error",
                                      "relative_l2", "cosine",     "kl",       "kl_p99",         "top1_agreement"};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static double error_of(const cJSON *accuracy, const char *metric)
{
    char key[48];
    snprintf(key, sizeof key, "%s_error", metric);
    return json_number(accuracy, key);
}

/* Loads this program's reference and variant for `order`, and scores the variant; *answer is NULL when `why` says why not. */
static ciuic_status score(const audit_subject *s, const load_order *order, const bench_variant *v, cJSON **answer,
                          char why[WORKER_REASON_MAX])
{
    char path[AUDIT_PATH];
    probe reference = {0}, variant = {0};
    *answer = NULL;
    subject_path(s, "reference.f32", path);
    ciuic_status status = probe_load(s, PROBE_OWN, order, &audit_reference, &reference);
    if (status == CIUIC_OK) status = probe_reference(&reference, path);
    snprintf(why, WORKER_REASON_MAX, "%s", reference.failed);
    probe_stop(&reference);
    if (status != CIUIC_OK || why[0] != '\0') return status;
    status = probe_load(s, PROBE_OWN, order, v, &variant);
    if (status == CIUIC_OK) status = probe_accuracy(&variant, path, answer);
    snprintf(why, WORKER_REASON_MAX, "%s", variant.failed);
    probe_stop(&variant);
    return status;
}

/* ---- errors from the ids that the results name ------------------------------------------------------------------ */

/* How far two runs of one variant on the same ids may be apart. With the same logits only the order of summing is left.
 * Another build rounds otherwise: that moves a metric by a small part of itself and of its standard error, and what counts
 * or picks single positions by some of them. */
static double allowed(const char *metric, bool same_logits, const cJSON *now)
{
    const double value = json_number(now, metric), deviation = error_of(now, metric);
    const double positions = json_number(now, "positions");
    if (same_logits) return 1e-6 * fabs(value) + 1e-12;
    if (strcmp(metric, "top1_agreement") == 0) return 4 / positions;
    const bool tail = strcmp(metric, "kl_p99") == 0 || strcmp(metric, "max_abs_error") == 0;
    return (tail ? 0.25 : 0.03) * fabs(value) + (isnan(deviation) ? 0 : 0.25 * deviation) + 1e-5;
}

/* The metric that is farthest beyond what is allowed; NULL: none is beyond. A figure that only one side has is. */
static const char *worst_metric(const cJSON *recorded, const cJSON *now, bool same_logits)
{
    const char *worst = NULL;
    double most = 1;
    for (size_t i = 0; i < METRICS; i++) {
        const double then = json_number(recorded, metrics[i]), again = json_number(now, metrics[i]);
        if (isnan(then) && isnan(again)) continue;
        const double beyond = fabs(then - again) / allowed(metrics[i], same_logits, now);
        if (isnan(beyond)) return metrics[i];
        if (beyond > most) worst = metrics[i], most = beyond;
    }
    return worst;
}

static cJSON *pair_of(const cJSON *recorded, const cJSON *now)
{
    cJSON *numbers = cJSON_CreateObject();
    for (size_t i = 0; i < METRICS; i++) {
        cJSON *item = cJSON_AddObjectToObject(numbers, metrics[i]);
        json_add_double(item, "recorded", json_number(recorded, metrics[i]));
        json_add_double(item, "now", json_number(now, metrics[i]));
        json_add_double(item, "standard_error", error_of(now, metrics[i]));
    }
    return numbers;
}

ciuic_status check_errors(audit_subject *s, const audited_case *c, audit_findings *f)
{
    char why[WORKER_REASON_MAX];
    cJSON *answer = NULL;
    const cJSON *recorded = json_find(c->result->json, "accuracy");
    const char *then = cJSON_GetStringValue(json_find(c->result->json, "output_sha256"));
    if (recorded == NULL)
        return audit_find(f, AUDIT_ERRORS, c->result->id, AUDIT_IMPOSSIBLE, NULL, "the results have no errors of it");
    CIUIC_TRY(score(s, &c->order, &c->variant, &answer, why));
    if (answer == NULL) return audit_find(f, AUDIT_ERRORS, c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s", why);
    const cJSON *now = json_find(answer, "accuracy");
    const char *output = cJSON_GetStringValue(json_find(answer, "output_sha256"));
    const bool same = s->same_cpu && then != NULL && output != NULL && strcmp(then, output) == 0;
    const double positions = json_number(recorded, "positions");
    const char *worst = worst_metric(recorded, now, same);
    ciuic_status status = CIUIC_OK;
    if (positions != json_number(now, "positions"))
        status = audit_find(f, AUDIT_ERRORS, c->result->id, AUDIT_FAILED, NULL,
                            "recorded over %g positions; the evaluation ids give %g", positions,
                            json_number(now, "positions"));
    else if (worst != NULL)
        status = audit_find(f, AUDIT_ERRORS, c->result->id, AUDIT_FAILED, pair_of(recorded, now),
                            "%s is %.6g on the evaluation ids, recorded %.6g", worst, json_number(now, worst),
                            json_number(recorded, worst));
    else
        status = audit_find(f, AUDIT_ERRORS, c->result->id, AUDIT_PASSED, pair_of(recorded, now),
                            "%d metrics over %g positions reproduce%s: nll %.6g, kl %.3g", METRICS, positions,
                            same ? " with the same logits" : " within rounding", json_number(now, "nll"),
                            json_number(now, "kl"));
    cJSON_Delete(answer);
    return status;
}

/* ---- errors on other ids ---------------------------------------------------------------------------------------- */

/* Texts differ by more than the standard error over positions says, since positions of one text are alike: how much by is
 * measured, on so many other sets of ids as large as the one published. */
enum { OTHER_SETS = 5 };
/* Where one more set lies with 99.9%, if the sets are normal: mean +- t sd sqrt(1 + 1/n), t of Student's distribution with
 * n - 1 = 4 degrees of freedom. Few sets can be alike by chance: sd is not taken for less than the standard error over
 * positions, which is too small rather than too large. */
static const double student_t = 8.610;

/* What is compared: the loss of the next token, and what the variant adds to it. Both are positive and skewed: by their
 * logarithms, or an interval reaches below 0. */
static const struct {
    const char *name;
    bool logarithm;
} losses[] = {{"nll", true}, {"kl", true}};
enum { LOSSES = sizeof losses / sizeof losses[0] };

static double loss_of(const cJSON *accuracy, size_t which)
{
    const double value = json_number(accuracy, losses[which].name);
    return losses[which].logarithm ? log(value) : value;
}

/* Scores the variant on ids that are moved on by a drawn number of rows, or drawn by another seed. */
static ciuic_status score_elsewhere(audit_subject *s, const audited_case *c, cJSON **answer,
                                    char why[WORKER_REASON_MAX])
{
    char folder[AUDIT_PATH];
    audit_inputs inputs;
    bool moved = false;
    load_order order = c->order;
    snprintf(folder, sizeof folder, "%s/other-data-%zu", s->folder, subject_draw(s, (size_t)1 << 40));
    ciuic_status status = inputs_open(c, &inputs);
    if (status == CIUIC_OK) status = inputs_other_checkpoint(s, c, &inputs, folder, &moved);
    if (moved)
        order.checkpoint = folder;
    else
        order.seed = subject_draw(s, (size_t)1 << 50);
    if (status == CIUIC_OK) status = score(s, &order, &c->variant, answer, why);
    inputs_close(&inputs);
    return status;
}

/* Its standard error; of a logarithm, the relative one. */
static double deviation_of(const cJSON *accuracy, size_t which)
{
    const double deviation = error_of(accuracy, losses[which].name);
    return losses[which].logarithm ? deviation / json_number(accuracy, losses[which].name) : deviation;
}

typedef struct loss_sets {
    double values[OTHER_SETS], deviations[OTHER_SETS];
} loss_sets;

static ciuic_status score_sets(audit_subject *s, const audited_case *c, loss_sets found[LOSSES],
                               char why[WORKER_REASON_MAX])
{
    for (size_t set = 0; set < OTHER_SETS && why[0] == '\0'; set++) {
        cJSON *answer = NULL;
        CIUIC_TRY(score_elsewhere(s, c, &answer, why));
        for (size_t i = 0; i < LOSSES; i++) {
            found[i].values[set] = loss_of(json_find(answer, "accuracy"), i);
            found[i].deviations[set] = deviation_of(json_find(answer, "accuracy"), i);
        }
        cJSON_Delete(answer);
    }
    return CIUIC_OK;
}

/* Where one more set would lie. NaN where a value is none, as the logarithm of a loss of 0. */
static void predict(const loss_sets *found, double *low, double *high)
{
    double mean = 0, squares = 0, deviation = 0;
    for (size_t i = 0; i < OTHER_SETS; i++) mean += found->values[i] / OTHER_SETS;
    for (size_t i = 0; i < OTHER_SETS; i++) squares += (found->values[i] - mean) * (found->values[i] - mean);
    for (size_t i = 0; i < OTHER_SETS; i++) deviation += found->deviations[i] / OTHER_SETS;
    const double sd = fmax(sqrt(squares / (OTHER_SETS - 1)), deviation);
    *low = mean - student_t * sd * sqrt(1 + 1.0 / OTHER_SETS);
    *high = mean + student_t * sd * sqrt(1 + 1.0 / OTHER_SETS);
}

audit_outcome loss_alike(double published, double low, double high, double guessing)
{
    if (published < low || published > high) return AUDIT_FAILED;
    return high >= guessing ? AUDIT_INCONCLUSIVE : AUDIT_PASSED; /* false for NaN */
}

/* The NLL of a model that knows nothing: ln(vocabulary). NaN of a difference to a reference, and of random weights, which know
 * nothing and are not refused for it. */
static ciuic_status loss_of_guessing(const audited_case *c, size_t which, double *guessing)
{
    audit_inputs inputs;
    *guessing = NAN;
    if (strcmp(losses[which].name, "nll") != 0 || cJSON_IsTrue(json_find(c->result->json, "random_weights")))
        return CIUIC_OK;
    const ciuic_status status = inputs_open(c, &inputs);
    if (status == CIUIC_OK) *guessing = log((double)inputs.vocabulary);
    inputs_close(&inputs);
    return status;
}

static ciuic_status judge_loss(const audited_case *c, size_t which, const cJSON *recorded, const loss_sets *found,
                               audit_findings *f)
{
    double guessing = NAN;
    double low = NAN, high = NAN;
    const double then = loss_of(recorded, which);
    const bool logarithm = losses[which].logarithm;
    predict(found, &low, &high);
    if (isnan(low) || isinf(low) || isnan(then) || isinf(then)) return CIUIC_OK; /* a variant that loses nothing */
    const double published = logarithm ? exp(then) : then;
    if (logarithm) low = exp(low), high = exp(high);
    CIUIC_TRY(loss_of_guessing(c, which, &guessing));
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "published", published);
    json_add_double(numbers, "low", low);
    json_add_double(numbers, "high", high);
    const audit_outcome outcome = loss_alike(published, low, high, guessing);
    return audit_find(f, AUDIT_OTHER_DATA, c->result->id, outcome, numbers,
                      "%s: published %.4g; %d sets of other ids give %.4g to %.4g for one more%s", losses[which].name,
                      published, OTHER_SETS, low, high,
                      outcome == AUDIT_INCONCLUSIVE ? ", which a model that knows nothing would pass" : "");
}

ciuic_status check_other_data(audit_subject *s, const audited_case *c, audit_findings *f)
{
    char why[WORKER_REASON_MAX] = "";
    loss_sets found[LOSSES];
    const cJSON *recorded = json_find(c->result->json, "accuracy");
    if (recorded == NULL)
        return audit_find(f, AUDIT_OTHER_DATA, c->result->id, AUDIT_IMPOSSIBLE, NULL,
                          "the results have no errors of it");
    CIUIC_TRY(score_sets(s, c, found, why));
    if (why[0] != '\0') return audit_find(f, AUDIT_OTHER_DATA, c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s", why);
    for (size_t i = 0; i < LOSSES; i++) CIUIC_TRY(judge_loss(c, i, recorded, &found[i], f));
    return CIUIC_OK;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/* What is planned, not what the kernel happened to see: the same everywhere. */
static const char *const bytes[] = {"weights", "kv_cache", "activations", "workspace", "total"};

/* The first member that differs; NULL: none. Members that the results lack are not compared. */
static const char *other_bytes(const cJSON *recorded, const cJSON *now)
{
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        const double then = json_number(recorded, bytes[i]), again = json_number(now, bytes[i]);
        if (!isnan(then) && !(then == again)) return bytes[i];
    }
    return NULL;
}

static ciuic_status judge_memory(const audited_case *c, const cJSON *loaded, const cJSON *finished, const char *who,
                                 audit_findings *f)
{
    const cJSON *recorded = json_find(c->result->json, "memory_bytes"), *now = json_find(finished, "memory");
    const char *other = other_bytes(recorded, now);
    const double then = case_number(c->result, "weight_bytes", NULL), again = json_number(loaded, "weight_bytes");
    if (other != NULL)
        return audit_find(f, AUDIT_MEMORY, c->result->id, AUDIT_FAILED, NULL, "%s: %s takes %.0f bytes, recorded %.0f",
                          who, other, json_number(now, other), json_number(recorded, other));
    if (!isnan(then) && then != again)
        return audit_find(f, AUDIT_MEMORY, c->result->id, AUDIT_FAILED, NULL,
                          "%s: the weights are %.0f bytes, recorded %.0f", who, again, then);
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "total", json_number(now, "total"));
    return audit_find(f, AUDIT_MEMORY, c->result->id, AUDIT_PASSED, numbers, "%s: exactly %.0f bytes, as recorded", who,
                      json_number(now, "total"));
}

/* The ceiling again, from the bytes and operations that this program finds, and the machine as the results describe it. One
 * that is higher was made for a smaller model. */
static ciuic_status judge_ceiling(const audit_subject *s, const audited_case *c, const cJSON *loaded, audit_findings *f)
{
    const suite_workload w = {.phase = c->order.phase, .tokens = c->order.tokens, .depth = c->order.depth};
    const double recorded = case_number(c->result, "ceiling_tokens_per_s", NULL);
    const case_ceiling now =
        ceiling_of_case(loaded, json_find(s->results.root, "machine"), &w, &c->variant.options, c->order.threads,
                        case_number(c->result, "ceiling", "bandwidth_bytes_per_s"));
    if (!(recorded > 0) || !(now.tokens_per_s > 0)) return CIUIC_OK;
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "recorded", recorded);
    json_add_double(numbers, "now", now.tokens_per_s);
    const bool same =
        recorded <= 1.001 * now.tokens_per_s; /* bytes and operations are counted: they reproduce exactly */
    return audit_find(f, AUDIT_CEILING, c->result->id, same ? AUDIT_PASSED : AUDIT_FAILED, numbers,
                      "its %.4g bytes and %.4g operations a token allow %.5g tokens/s, recorded %.5g",
                      now.bytes_per_token, now.flops_per_token, now.tokens_per_s, recorded);
}

static ciuic_status check_memory_of(audit_subject *s, const audited_case *c, probe_program program, const char *who,
                                    audit_findings *f)
{
    probe p = {0};
    cJSON *finished = NULL;
    ciuic_status status = probe_load(s, program, &c->order, &c->variant, &p);
    if (status == CIUIC_OK) status = probe_finish(&p, &finished);
    if (status == CIUIC_OK && finished == NULL)
        status = audit_find(f, AUDIT_MEMORY, c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s: %s", who, p.failed);
    else if (status == CIUIC_OK)
        status = judge_memory(c, p.loaded, finished, who, f);
    if (status == CIUIC_OK && finished != NULL && program == PROBE_OWN) status = judge_ceiling(s, c, p.loaded, f);
    cJSON_Delete(finished);
    probe_stop(&p);
    return status;
}

ciuic_status check_memory(audit_subject *s, const audited_case *c, audit_findings *f)
{
    CIUIC_TRY(check_memory_of(s, c, PROBE_OWN, "this program", f));
    if (s->options->binary == NULL) return CIUIC_OK;
    return check_memory_of(s, c, PROBE_AUDITED, "the program under audit", f);
}
