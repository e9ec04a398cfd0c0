/* holds.c - see holds.h. */
#include "harness/judge/holds.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/verdicts.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { TEXT = 1024, NAMED = 6 };

/* The verdicts of one claim that say the same, as a list in words. */
typedef struct verdict_list {
    size_t count;
    char text[TEXT];
} verdict_list;

static bool is_fair(const cJSON *v)
{
    return strcmp(json_text(v, "baseline"), "tuned") == 0 || strcmp(json_text(v, "baseline"), "reference") == 0;
}

/* "int4+graph+memory+avx512 in decode64@256 (3.50x)" */
static void add_named(const result_set *r, const claim *about, const cJSON *v, const result_case *c, verdict_list *list)
{
    char label[160], value[32];
    list->count++;
    if (list->count > NAMED) return;
    group_label(r, c->group, label, sizeof label);
    metric_format(about->metric, json_number(v, "value"), value, sizeof value);
    plain_append(list->text, TEXT, "%s%.64s in %s%s%s%s", list->count > 1 ? ", " : "", case_variant_name(c), label,
                 isnan(json_number(v, "value")) ? "" : " (", isnan(json_number(v, "value")) ? "" : value,
                 isnan(json_number(v, "value")) ? "" : ")");
}

static cJSON *list_json(verdict_list *list)
{
    if (list->count == 0) return cJSON_CreateNull();
    if (list->count > NAMED) plain_append(list->text, TEXT, " and %zu more", list->count - NAMED);
    return sentence_json(list->text);
}

/* "Against naive it holds in 8 of 8 cases, against openblas in 3 of 8." */
static cJSON *others_json(const cJSON *verdicts, const claim *about)
{
    static const char *const weaker[] = {"naive", "openblas", "onednn"};
    char text[TEXT] = "";
    for (size_t b = 0; b < sizeof weaker / sizeof weaker[0]; b++) {
        size_t all = 0, supported = 0;
        const cJSON *v = NULL;
        cJSON_ArrayForEach(v, verdicts)
        {
            if (strcmp(json_text(v, "claim"), about->id) != 0 || strcmp(json_text(v, "baseline"), weaker[b]) != 0)
                continue;
            if (isnan(json_number(v, "value"))) continue;
            all++;
            supported += strcmp(json_text(v, "verdict"), "supported") == 0;
        }
        if (all > 0)
            plain_append(text, TEXT, "%s %s it holds in %zu of %zu", text[0] == '\0' ? "Against" : ", against",
                         weaker[b], supported, all);
    }
    if (text[0] == '\0') return cJSON_CreateNull();
    plain_append(text, TEXT, ".");
    return sentence_json(text);
}

/* The fair verdict of a group that comes nearest, unless one of the group is supported: then NULL. */
static const cJSON *nearest(const result_set *r, const cJSON *verdicts, const claim *about, size_t group)
{
    const cJSON *best = NULL, *v = NULL;
    double least = INFINITY;
    cJSON_ArrayForEach(v, verdicts)
    {
        if (strcmp(json_text(v, "claim"), about->id) != 0 || !is_fair(v)) continue;
        const result_case *c = results_case(r, json_text(v, "case"));
        if (c == NULL || c->group != group || isnan(json_number(v, "value"))) continue;
        if (strcmp(json_text(v, "verdict"), "supported") == 0) return NULL;
        const double distance = claim_distance(about, json_number(v, "value"));
        if (best == NULL || distance < least) best = v;
        least = fmin(least, distance);
    }
    return best;
}

/* "decode64@256: int4+graph+memory+avx512 takes ..." for each group where the claim does not hold. */
static bool add_takes(const result_set *r, const cJSON *verdicts, const claim *about, cJSON *o)
{
    cJSON *array = cJSON_AddArrayToObject(o, "takes");
    if (array == NULL) return false;
    for (size_t g = 0; g < r->group_count; g++) {
        char label[160], needs[TEXT], text[TEXT] = "";
        const cJSON *v = nearest(r, verdicts, about, g);
        if (v == NULL) continue;
        const result_case *c = results_case(r, json_text(v, "case"));
        takes_write(r, about, v, results_case(r, json_text(v, "baseline_case")), c, needs, sizeof needs);
        if (needs[0] == '\0') continue;
        group_label(r, g, label, sizeof label);
        plain_append(text, TEXT, "%s, %.64s: %s", label, case_variant_name(c), needs);
        if (!cJSON_AddItemToArray(array, sentence_json(text))) return false;
    }
    return true;
}

static bool add_claim(const result_set *r, const cJSON *verdicts, const claim *about, cJSON *array)
{
    verdict_list lists[3] = {{0}}; /* by verdict */
    const cJSON *v = NULL;
    bool any = false;
    cJSON_ArrayForEach(v, verdicts)
    {
        if (strcmp(json_text(v, "claim"), about->id) != 0) continue;
        any = true;
        const result_case *c = results_case(r, json_text(v, "case"));
        if (c == NULL || !is_fair(v)) continue;
        for (int k = 0; k < 3; k++)
            if (strcmp(json_text(v, "verdict"), verdict_name((verdict)k)) == 0) add_named(r, about, v, c, &lists[k]);
    }
    if (!any) return true;
    cJSON *o = cJSON_CreateObject();
    bool ok = cJSON_AddItemToArray(array, o);
    if (!ok) {
        cJSON_Delete(o);
        return false;
    }
    ok = cJSON_AddStringToObject(o, "claim", about->id) != NULL;
    for (int k = 0; k < 3 && ok; k++) ok = json_add_size(o, verdict_name((verdict)k), lists[k].count);
    ok = ok && set_member(o, "holds", list_json(&lists[VERDICT_SUPPORTED]));
    ok = ok && set_member(o, "fails", list_json(&lists[VERDICT_REFUTED]));
    ok = ok && set_member(o, "open", list_json(&lists[VERDICT_INCONCLUSIVE]));
    ok = ok && set_member(o, "others", others_json(verdicts, about));
    return ok && add_takes(r, verdicts, about, o);
}

ciuic_status holds_make(const result_set *r, const cJSON *claims, cJSON **out)
{
    const cJSON *verdicts = json_find(r->root, "verdicts"), *item = NULL;
    cJSON *array = cJSON_CreateArray();
    size_t position = 0;
    ciuic_status status = array != NULL ? CIUIC_OK : ciuic_fail_memory("the summary", TEXT);
    for (item = claims->child; item != NULL && status == CIUIC_OK; item = item->next, position++) {
        claim about;
        status = claim_parse(item, "claims", position, &about);
        if (status == CIUIC_OK && !add_claim(r, verdicts, &about, array))
            status = ciuic_fail_memory("the summary", TEXT);
    }
    if (status == CIUIC_OK)
        *out = array;
    else
        cJSON_Delete(array);
    return status;
}
