/* limit_evidence.c - see limit_evidence.h. */
#include "harness/judge/limit_evidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/json.h"

static bool refused(const result_case *c)
{
    return c != NULL && cJSON_IsObject(json_find(c->json, "refused"));
}

/* In bytes; NaN where results do not say. */
static double need_of(const result_case *c)
{
    if (refused(c)) return case_number(c, "refused", "needed_bytes");
    if (!case_ok(c)) return NAN;
    const double counted = fmax(case_number(c, "memory_bytes", "needed"), case_number(c, "memory_bytes", "total"));
    return fmax(counted, case_number(c, "memory_bytes", "under_limit")); /* of a number and a NaN, the number */
}

static double searched(const result_case *c, const char *key)
{
    return c != NULL ? json_number(json_find(json_find(c->json, "limits"), "smallest_limit"), key) : NAN;
}

/* Whether the claim's own limit, or the run's, is none that the baseline exceeds, and a search has found one that is. */
static bool by_search(const result_set *r, const claim *about, const result_case *base, const result_case *c)
{
    const double limit = claim_limit(about, r->root);
    if (!isnan(about->limit) || !(need_of(base) <= limit)) return false;
    return searched(base, "failed_at") > 0 && searched(c, "found") > 0;
}

double limit_evidence_limit(const result_set *r, const claim *about, const result_case *base, const result_case *c)
{
    return by_search(r, about, base, c) ? searched(base, "failed_at") : claim_limit(about, r->root);
}

static void take_search(const result_case *base, const char *baseline, const result_case *c, limit_evidence *e)
{
    const double mine = searched(c, "found"), limit = searched(base, "failed_at");
    e->share = mine / limit;
    snprintf(e->words, sizeof e->words, "Runs under %.1f MB, found by running it, and %.16s does not under %.1f MB",
             mine / 1e6, baseline, limit / 1e6);
}

static void complain(limit_evidence *e, const char *what, const result_case *c)
{
    if (c == NULL)
        snprintf(e->problem, sizeof e->problem, "%s was not part of this run", what);
    else if (case_ok(c))
        snprintf(e->problem, sizeof e->problem, "what %s needs was not recorded", what);
    else
        snprintf(e->problem, sizeof e->problem, "%s %.16s: %.200s", what, c->status,
                 c->reason[0] != '\0' ? c->reason : "no reason was recorded");
}

void limit_evidence_gather(const result_set *r, const claim *about, const result_case *base, const char *baseline,
                           const result_case *c, limit_evidence *e)
{
    const double limit = claim_limit(about, r->root), mine = need_of(c), theirs = need_of(base);
    const bool held = isnan(about->limit); /* the run's own limit, to which the kernel held it */
    char other[64];
    *e = (limit_evidence){.share = mine / limit};
    snprintf(other, sizeof other, "the baseline %.16s", baseline);
    if (by_search(r, about, base, c))
        take_search(base, baseline, c, e);
    else if (isnan(mine))
        complain(e, "the case", c);
    else if (isnan(theirs))
        complain(e, other, base);
    else if (theirs <= limit)
        snprintf(e->problem, sizeof e->problem,
                 "the limit of %.1f MB is none that %.16s exceeds: it needs %.1f MB; give a lower one", limit / 1e6,
                 baseline, theirs / 1e6);
    else
        snprintf(e->words, sizeof e->words, "Needs %.1f MB of %.1f MB%s; %.16s needs %.1f MB%s", mine / 1e6,
                 limit / 1e6,
                 mine > limit ? refused(c) ? ", and was refused" : ", which is more"
                 : held       ? ", and ran held to that"
                              : ", counted without being held to it",
                 baseline, theirs / 1e6, refused(base) ? " and was refused" : "");
}
