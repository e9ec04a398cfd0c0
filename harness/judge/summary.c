/* summary.c - counting headline verdicts per variant and saying what they add up to. */
#include "harness/judge/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/verdicts.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* Headline verdicts of one variant. */
typedef struct tally {
    size_t supported, refuted, inconclusive;
    size_t unmeasured; /* of the inconclusive ones: without a value, since a case failed or was not run */
    double score;      /* sum of what is good: tells apart variants that do equally well by count */
} tally;

typedef enum answer { ANSWER_NO, ANSWER_PARTLY, ANSWER_UNCLEAR, ANSWER_YES } answer;
static const char *const answer_names[] = {"no", "partly", "unclear", "yes"};
static const char *const answer_words[] = {"No", "Only in part", "Undecided", "Yes"};

enum { CLAIMS_MAX = 64, VARIANTS_MAX = 256, TEXT = 2048 };

typedef struct summary_state {
    const cJSON *verdicts;
    claim claims[CLAIMS_MAX];
    size_t claim_count;
    const char *variants[VARIANTS_MAX]; /* names with a headline verdict, in order of appearance */
    size_t variant_count;
} summary_state;

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(json_find(object, key));
}

static const char *variant_of(const cJSON *verdict_json)
{
    const char *id = text_of(verdict_json, "case"), *slash = strrchr(id, '/');
    return slash != NULL ? slash + 1 : id;
}

static bool is_headline(const cJSON *verdict_json)
{
    return cJSON_IsTrue(json_find(verdict_json, "headline"));
}

/* ---- counting --------------------------------------------------------------------------------------------------- */

static void count(tally *t, const claim *about, const cJSON *verdict_json)
{
    const char *v = text_of(verdict_json, "verdict");
    t->supported += strcmp(v, "supported") == 0;
    t->refuted += strcmp(v, "refuted") == 0;
    t->inconclusive += strcmp(v, "inconclusive") == 0;
    const double value = json_number(verdict_json, "value");
    t->unmeasured += isnan(value) ? 1 : 0;
    if (isnan(value)) return;
    t->score += about->metric->kind == METRIC_SPEED ? log(value) : isnan(about->min) ? -value : value;
}

/* Over the claims of one question, or of all with question == NULL. */
static tally count_variant(const summary_state *s, const char *question, const char *variant)
{
    tally t = {0};
    for (size_t i = 0; i < s->claim_count; i++) {
        const claim *about = &s->claims[i];
        if (question != NULL && strcmp(about->question, question) != 0) continue;
        for (const cJSON *v = s->verdicts->child; v != NULL; v = v->next)
            if (is_headline(v) && strcmp(text_of(v, "claim"), about->id) == 0 && strcmp(variant_of(v), variant) == 0)
                count(&t, about, v);
    }
    return t;
}

static answer answer_of(tally t)
{
    if (t.supported + t.refuted + t.inconclusive == 0) return ANSWER_UNCLEAR;
    if (t.refuted == 0) return t.inconclusive == 0 ? ANSWER_YES : ANSWER_UNCLEAR;
    return t.supported > 0 ? ANSWER_PARTLY : ANSWER_NO;
}

/* A variant that keeps everything, then the one that keeps most. What was not measured counts against a variant as
 * what it broke does, and a little more: a worker that died must not stand in for an answer that others gave. */
static bool better(tally a, tally b)
{
    const bool a_yes = answer_of(a) == ANSWER_YES, b_yes = answer_of(b) == ANSWER_YES;
    if (a_yes != b_yes) return a_yes;
    if (a.supported != b.supported) return a.supported > b.supported;
    const size_t a_lost = a.refuted + a.unmeasured, b_lost = b.refuted + b.unmeasured;
    if (a_lost != b_lost) return a_lost < b_lost;
    if (a.unmeasured != b.unmeasured) return a.unmeasured < b.unmeasured;
    return a.score > b.score;
}

/* The variant that does best among those with a value at all; NULL when there is none. */
static const char *best_variant(const summary_state *s, const char *question, tally *t)
{
    const char *best = NULL;
    *t = (tally){0};
    for (size_t i = 0; i < s->variant_count; i++) {
        const tally candidate = count_variant(s, question, s->variants[i]);
        if (candidate.supported + candidate.refuted + candidate.inconclusive == candidate.unmeasured) continue;
        if (best != NULL && !better(candidate, *t)) continue;
        best = s->variants[i];
        *t = candidate;
    }
    return best;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

/* "1.90x (1.85x to 1.95x)" */
static void format_with_interval(const claim *about, const cJSON *v, char *text, size_t size)
{
    char value[32], low[32], high[32];
    metric_format(about->metric, json_number(v, "value"), value, sizeof value);
    metric_format(about->metric, json_number(v, "low"), low, sizeof low);
    metric_format(about->metric, json_number(v, "high"), high, sizeof high);
    const bool spread = json_number(v, "low") < json_number(v, "high");
    snprintf(text, size, spread ? "%s (%s to %s)" : "%s", value, low, high);
}

/* Against one baseline: "against tuned 1.90x (1.85x to 1.95x) for decode64@256, 2 threads (refuted); ..." */
static void append_baseline(const result_set *r, const summary_state *s, const claim *about, const char *variant,
                            const char *baseline, char *text)
{
    bool first = true;
    for (const cJSON *v = s->verdicts->child; v != NULL; v = v->next) {
        if (strcmp(text_of(v, "claim"), about->id) != 0 || strcmp(variant_of(v), variant) != 0 ||
            strcmp(text_of(v, "baseline"), baseline) != 0)
            continue;
        char label[128] = "", value[128];
        const result_case *c = results_case(r, text_of(v, "case"));
        if (c != NULL) group_label(r, c->group, label, sizeof label);
        format_with_interval(about, v, value, sizeof value);
        const size_t used = strlen(text);
        if (first && strcmp(baseline, "reference") == 0)
            snprintf(text + used, TEXT - used, " %s (%s) for %s", value, text_of(v, "verdict"), label);
        else if (first)
            snprintf(text + used, TEXT - used, "%sagainst %s %s (%s) for %s",
                     strcmp(baseline, "tuned") == 0 ? " " : "; ", baseline, value, text_of(v, "verdict"), label);
        else
            snprintf(text + used, TEXT - used, ", %s (%s) for %s", value, text_of(v, "verdict"), label);
        first = false;
    }
}

static cJSON *claim_answer(const result_set *r, const summary_state *s, const claim *about, const char *variant)
{
    char text[TEXT];
    tally t = {0};
    for (const cJSON *v = s->verdicts->child; v != NULL && variant != NULL; v = v->next)
        if (is_headline(v) && strcmp(text_of(v, "claim"), about->id) == 0 && strcmp(variant_of(v), variant) == 0)
            count(&t, about, v);
    snprintf(text, sizeof text, "%.64s, %s", variant != NULL ? variant : "no variant with every stage on",
             about->metric->label);
    static const char *const baselines[] = {"tuned", "naive", "openblas", "onednn", "reference"};
    for (size_t b = 0; b < sizeof baselines / sizeof baselines[0] && variant != NULL; b++)
        append_baseline(r, s, about, variant, baselines[b], text);
    cJSON *o = cJSON_CreateObject();
    bool ok = o != NULL && cJSON_AddStringToObject(o, "claim", about->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "answer", answer_names[answer_of(t)]) != NULL;
    ok = ok && set_member(o, "text", sentence_json(text));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

static bool add_question(const result_set *r, const summary_state *s, const char *question, cJSON *answers,
                         char *headline)
{
    tally t;
    const char *variant = best_variant(s, question, &t);
    const answer found = answer_of(t);
    cJSON *o = cJSON_CreateObject();
    bool ok = cJSON_AddItemToArray(answers, o);
    if (!ok) cJSON_Delete(o);
    ok = ok && cJSON_AddStringToObject(o, "question", question) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "answer", answer_names[found]) != NULL;
    ok = ok && (variant != NULL ? cJSON_AddStringToObject(o, "variant", variant)
                                : cJSON_AddNullToObject(o, "variant")) != NULL;
    cJSON *claims = ok ? cJSON_AddArrayToObject(o, "claims") : NULL;
    ok = claims != NULL;
    for (size_t i = 0; i < s->claim_count && ok; i++) {
        if (strcmp(s->claims[i].question, question) != 0) continue;
        cJSON *entry = claim_answer(r, s, &s->claims[i], variant);
        ok = entry != NULL && cJSON_AddItemToArray(claims, entry);
    }
    const size_t used = strlen(headline);
    snprintf(headline + used, TEXT - used, "%s%s %s.", used > 0 ? " " : "", question, answer_words[found]);
    return ok;
}

/* ---- variants --------------------------------------------------------------------------------------------------- */

static bool add_variant(const summary_state *s, const char *variant, cJSON *array)
{
    cJSON *o = cJSON_CreateObject();
    bool ok = cJSON_AddItemToArray(array, o);
    if (!ok) cJSON_Delete(o);
    ok = ok && cJSON_AddStringToObject(o, "variant", variant) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "all", answer_names[answer_of(count_variant(s, NULL, variant))]) != NULL;
    cJSON *questions = ok ? cJSON_AddObjectToObject(o, "questions") : NULL;
    for (size_t i = 0; i < s->claim_count && questions != NULL; i++) {
        const char *question = s->claims[i].question;
        if (json_find(questions, question) != NULL) continue;
        const answer found = answer_of(count_variant(s, question, variant));
        if (cJSON_AddStringToObject(questions, question, answer_names[found]) == NULL) return false;
    }
    return questions != NULL;
}

/* Three promises made in one breath are only kept if one variant keeps them together. */
static void joint_sentence(const summary_state *s, char *text)
{
    tally t;
    const char *variant = best_variant(s, NULL, &t);
    const size_t all = t.supported + t.refuted + t.inconclusive;
    if (variant == NULL)
        snprintf(text, TEXT,
                 "No variant with every stage on was measured, so nothing can be said of all claims at once.");
    else if (answer_of(t) == ANSWER_YES)
        snprintf(text, TEXT, "One variant keeps all of the claims at once: %.64s.", variant);
    else
        snprintf(
            text, TEXT,
            "No single variant is shown to keep all of the claims at once. The one that comes nearest is %.64s: of its "
            "%zu headline verdicts, %zu are supported, %zu refuted and %zu inconclusive.",
            variant, all, t.supported, t.refuted, t.inconclusive);
}

static void stages_sentence(const result_set *r, char *text)
{
    size_t all = 0, faster = 0, unknown = 0;
    const cJSON *stages = json_find(r->root, "stages");
    if (!results_timed(r->root)) {
        snprintf(text, TEXT, "Nothing was timed: this suite is about errors and bytes.");
        return;
    }
    for (const cJSON *entry = stages->child; entry != NULL; entry = entry->next) {
        if (json_find(entry, "last") == NULL) continue; /* the neighbour is not part of the suite */
        all++;
        const char *v = text_of(json_find(entry, "last"), "verdict");
        faster += v != NULL && strcmp(v, "faster") == 0;
        unknown += v == NULL || strcmp(v, "unknown") == 0;
    }
    if (all == unknown)
        snprintf(text, TEXT,
                 "What each stage earns could not be measured: no variant with every stage on has its "
                 "neighbours with one stage less in this run.");
    else if (faster == all)
        snprintf(text, TEXT,
                 "Every stage earns its place: each variant with everything on is faster than all of its "
                 "neighbours with one stage less.");
    else
        snprintf(text, TEXT,
                 "Not every stage is seen to earn its place: of %zu comparisons of a variant with everything on and "
                 "one with "
                 "a stage less, everything on is faster in %zu; the others are explained below.",
                 all, faster);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static ciuic_status prepare(const result_set *r, const cJSON *claims, summary_state *s)
{
    *s = (summary_state){.verdicts = json_find(r->root, "verdicts")};
    size_t position = 0;
    for (const cJSON *item = claims->child; item != NULL; item = item->next, position++) {
        if (s->claim_count == CLAIMS_MAX)
            return ciuic_fail(CIUIC_ERROR_INPUT, "claims: more than %d; expected fewer", CLAIMS_MAX);
        claim *about = &s->claims[s->claim_count];
        CIUIC_TRY(claim_parse(item, "claims", position, about));
        /* One about a limit, in a run that had none, asks nothing. */
        s->claim_count += about->metric->kind != METRIC_LIMIT || !isnan(claim_limit(about, r->root));
    }
    for (const cJSON *v = s->verdicts->child; v != NULL; v = v->next) {
        bool known = !is_headline(v);
        for (size_t i = 0; i < s->variant_count && !known; i++) known = strcmp(s->variants[i], variant_of(v)) == 0;
        if (known) continue;
        if (s->variant_count == VARIANTS_MAX)
            return ciuic_fail(CIUIC_ERROR_INPUT, "results: more than %d variants that claims are about; expected fewer",
                              VARIANTS_MAX);
        s->variants[s->variant_count++] = variant_of(v);
    }
    return CIUIC_OK;
}

static bool fill(const result_set *r, const summary_state *s, cJSON *o)
{
    char headline[TEXT] = "", joint[TEXT], stages[TEXT];
    cJSON *answers = cJSON_CreateArray();
    if (!set_member(o, "answers", answers)) return false;
    cJSON *variants = cJSON_CreateArray();
    if (!set_member(o, "variants", variants)) return false;
    for (size_t i = 0; i < s->claim_count; i++) {
        bool asked = false;
        for (size_t j = 0; j < i; j++) asked = asked || strcmp(s->claims[j].question, s->claims[i].question) == 0;
        if (!asked && !add_question(r, s, s->claims[i].question, answers, headline)) return false;
    }
    for (size_t i = 0; i < s->variant_count; i++)
        if (!add_variant(s, s->variants[i], variants)) return false;
    joint_sentence(s, joint);
    stages_sentence(r, stages);
    return set_member(o, "headline", sentence_json(headline)) && set_member(o, "joint", sentence_json(joint)) &&
           set_member(o, "stages", sentence_json(stages));
}

ciuic_status summary_make(const result_set *r, const cJSON *claims, cJSON **summary)
{
    ciuic_status status = CIUIC_OK;
    cJSON *o = cJSON_CreateObject();
    summary_state *s = malloc(sizeof *s);
    if (o == NULL || s == NULL) {
        status = ciuic_fail_memory("the summary", sizeof *s);
        goto cleanup;
    }
    status = prepare(r, claims, s);
    if (status == CIUIC_OK && !fill(r, s, o)) status = ciuic_fail_memory("the summary", TEXT);
    if (status == CIUIC_OK) {
        *summary = o;
        o = NULL;
    }

cleanup:
    free(s);
    cJSON_Delete(o);
    return status;
}
