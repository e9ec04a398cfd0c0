/* check_file.c - what an audit sees in the file alone: whether it was edited, whether its figures follow from its samples,
 * whether what it names is here, and whether anything is faster than physics. */
#include <math.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/judge/content_digest.h"
#include "optimizer/json.h"

/* ---- content ---------------------------------------------------------------------------------------------------- */

/* Summing in another order, as another build may, changes no figure by more. */
static const double same_within = 1e-9;

/* Whether `again`, made now from the samples, says the same as what was written, and whether all of it was written: what
 * was taken out does not follow either. Keys that `again` lacks are another version's. */
static bool follows(const cJSON *written, const cJSON *again)
{
    if (json_is_number(written) && json_is_number(again)) {
        const double a = written->valuedouble, b = again->valuedouble;
        return fabs(a - b) <= same_within * fmax(fabs(a), fabs(b));
    }
    if (cJSON_IsString(written) && cJSON_IsString(again)) return strcmp(written->valuestring, again->valuestring) == 0;
    if (cJSON_IsArray(written) && cJSON_IsArray(again)) {
        const cJSON *x = written->child, *y = again->child;
        for (; x != NULL && y != NULL; x = x->next, y = y->next)
            if (!follows(x, y)) return false;
        return x == NULL && y == NULL;
    }
    if (cJSON_IsObject(written) && cJSON_IsObject(again)) {
        const cJSON *x = NULL;
        cJSON_ArrayForEach(x, written)
        {
            const cJSON *y = cJSON_GetObjectItemCaseSensitive(again, x->string);
            if (y != NULL && !follows(x, y)) return false;
        }
        cJSON_ArrayForEach(x, again) if (cJSON_GetObjectItemCaseSensitive(written, x->string) == NULL) return false;
        return true;
    }
    return (written->type & 0xff) == (again->type & 0xff);
}

/* The first figure of a case that does not follow; NULL: all do. */
static const char *first_loose(const cJSON *written, const cJSON *again)
{
    static const char *const figures[] = {"latency_s", "tokens_per_s", "ratios"};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const cJSON *x = json_find(written, figures[i]), *y = json_find(again, figures[i]);
        if ((x == NULL) != (y == NULL) || (x != NULL && !follows(x, y))) return figures[i];
    }
    return NULL;
}

/* A case's own list of samples is that of its blocks, one after the other. */
static bool samples_meet(const cJSON *root, const result_case *c)
{
    const cJSON *block = NULL, *list = json_find(json_find(c->json, "latency_s"), "samples");
    const cJSON *own = list != NULL ? list->child : NULL;
    cJSON_ArrayForEach(block, json_find(root, "blocks"))
    {
        const cJSON *sample = NULL;
        cJSON_ArrayForEach(sample, json_find(json_find(block, "samples"), c->id))
        {
            if (!sample_usable(sample)) continue;
            if (own == NULL || !json_is_number(own) || own->valuedouble != sample->valuedouble) return false;
            own = own->next;
        }
    }
    return own == NULL;
}

static ciuic_status check_figures(audit_subject *s, audit_findings *f)
{
    const result_set *r = &s->results.set;
    const cJSON *written = json_find(s->written, "cases")->child;
    size_t checked = 0;
    for (size_t i = 0; i < r->case_count && written != NULL; i++, written = written->next) {
        const result_case *c = &r->cases[i];
        bench_variant v;
        if (subject_variant(s, c, &v) != CIUIC_OK)
            return audit_find(f, AUDIT_CONTENT, c->id, AUDIT_FAILED, NULL, "%s", ciuic_last_error());
        if (!case_ok(c)) continue;
        const char *loose = first_loose(written, c->json);
        if (loose != NULL)
            return audit_find(f, AUDIT_CONTENT, c->id, AUDIT_FAILED, NULL,
                              "%s is not what its samples give, or not there; edited, or judged by another version",
                              loose);
        if (!samples_meet(s->results.root, c))
            return audit_find(f, AUDIT_CONTENT, c->id, AUDIT_FAILED, NULL,
                              "its samples are not those of the rounds that it was measured in");
        checked++;
    }
    const cJSON *before = json_find(s->written, "verdicts"), *again = json_find(s->results.root, "verdicts");
    if (again != NULL && (before == NULL || !follows(before, again)))
        return audit_find(
            f, AUDIT_CONTENT, NULL, AUDIT_FAILED, NULL,
            "the verdicts are not those that the samples give, or not there; edited, or judged by another "
            "version");
    return audit_find(f, AUDIT_CONTENT, NULL, AUDIT_PASSED, NULL,
                      "the figures of %zu cases and %d verdicts follow from the samples", checked,
                      cJSON_GetArraySize(before));
}

ciuic_status check_content(audit_subject *s, audit_findings *f)
{
    const content_state content = content_check(s->written);
    if (content == CONTENT_EDITED)
        CIUIC_TRY(audit_find(f, AUDIT_CONTENT, NULL, AUDIT_FAILED, NULL,
                             "edited after it was written: %s is the digest of other content", CONTENT_DIGEST_KEY));
    else if (content == CONTENT_UNKNOWN)
        CIUIC_TRY(audit_find(f, AUDIT_CONTENT, NULL, AUDIT_FAILED, NULL, "these results " CONTENT_UNKNOWN_WORDS));
    else
        CIUIC_TRY(audit_find(f, AUDIT_CONTENT, NULL, AUDIT_PASSED, NULL, "its digest is that of what it holds"));
    return check_figures(s, f);
}

/* ---- hashes ----------------------------------------------------------------------------------------------------- */

static ciuic_status check_suite(audit_subject *s, audit_findings *f)
{
    const char *recorded = cJSON_GetStringValue(json_find(s->results.root, "suite_sha256"));
    if (s->suite == NULL) return audit_find(f, AUDIT_HASHES, NULL, AUDIT_IMPOSSIBLE, NULL, "suite: %s", s->no_suite);
    const bool same = recorded != NULL && strcmp(recorded, s->suite->sha256.text) == 0;
    return audit_find(f, AUDIT_HASHES, NULL, same ? AUDIT_PASSED : AUDIT_FAILED, NULL,
                      "suite: %.200s has sha256 %.12s..., the results name %.12s...%s", s->suite->file,
                      s->suite->sha256.text, recorded != NULL ? recorded : "none",
                      same ? "" : "; give the suite as it was with --suite");
}

ciuic_status check_hashes(audit_subject *s, audit_findings *f)
{
    CIUIC_TRY(check_suite(s, f));
    if (s->checkpoint_count == 0)
        CIUIC_TRY(audit_find(f, AUDIT_HASHES, NULL, AUDIT_IMPOSSIBLE, NULL, "the results describe no checkpoint"));
    for (size_t i = 0; i < s->checkpoint_count; i++) {
        const audited_checkpoint *c = &s->checkpoints[i];
        const audit_outcome outcome = c->same ? AUDIT_PASSED : c->path[0] != '\0' ? AUDIT_FAILED : AUDIT_IMPOSSIBLE;
        CIUIC_TRY(audit_find(f, AUDIT_HASHES, NULL, outcome, NULL, "checkpoint %.64s: %s", c->name,
                             c->same ? "its files have the digests in the results" : c->why));
    }
    if (s->same_program)
        return audit_find(f, AUDIT_HASHES, NULL, AUDIT_PASSED, NULL, "program: the results were made by it");
    /* Another compiler, or the next revision, is no cheating: it is then held against what it should reproduce. */
    return audit_find(f, AUDIT_HASHES, NULL, AUDIT_IMPOSSIBLE, NULL,
                      "program: %.12s... is another build than made the results; what follows says whether it "
                      "reproduces them",
                      s->program.text);
}

/* ---- ceilings --------------------------------------------------------------------------------------------------- */

ciuic_status check_ceilings(audit_subject *s, audit_findings *f)
{
    const result_set *r = &s->results.set;
    size_t known = 0;
    double closest = 0;
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        const double speed = case_number(c, "tokens_per_s", NULL),
                     ceiling = case_number(c, "ceiling_tokens_per_s", NULL);
        if (!case_ok(c) || !(speed > 0) || !(ceiling > 0)) continue;
        known++;
        closest = fmax(closest, speed / ceiling);
        if (speed <= AUDIT_CEILING_SLACK * ceiling) continue;
        cJSON *numbers = cJSON_CreateObject();
        json_add_double(numbers, "tokens_per_s", speed);
        json_add_double(numbers, "ceiling_tokens_per_s", ceiling);
        CIUIC_TRY(audit_find(f, AUDIT_CEILING, c->id, AUDIT_FAILED, numbers,
                             "%.4g tokens/s, where its bytes and operations allow %.4g", speed, ceiling));
    }
    if (known == 0)
        return audit_find(f, AUDIT_CEILING, NULL, AUDIT_IMPOSSIBLE, NULL, "no case has both a speed and a ceiling");
    if (closest > AUDIT_CEILING_SLACK) return CIUIC_OK;
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "closest", closest);
    return audit_find(f, AUDIT_CEILING, NULL, AUDIT_PASSED, numbers, "%zu cases, the nearest at %.0f%% of its ceiling",
                      known, 100 * closest);
}
