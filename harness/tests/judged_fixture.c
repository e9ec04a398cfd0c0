/* judged_fixture.c - see judged_fixture.h. */
#include "harness/tests/judged_fixture.h"

#include <math.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

double judged_number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : NAN;
}

const char *judged_text(const cJSON *object, const char *key)
{
    const char *found = cJSON_GetStringValue(json_find(object, key));
    return found != NULL ? found : "(none)";
}

static cJSON *judged_claims;

void judge_again(cJSON *results)
{
    cJSON_Delete(judged_claims);
    judged_claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &judged_claims), CIUIC_OK);
    const ciuic_status status = judge_results(results, judged_claims);
    CHECK(status == CIUIC_OK, "status %d: %s", (int)status, ciuic_last_error());
}

cJSON *judged_results(const fixture_machine *machine)
{
    cJSON *results = fixture_results(machine);
    judge_again(results);
    return results;
}

void judged_kill(cJSON *results, const char *ending)
{
    cJSON *dead = fixture_case(results, ending);
    CU_ASSERT_PTR_NOT_NULL_FATAL(dead);
    cJSON_ReplaceItemInObject(dead, "status", cJSON_CreateString("failed"));
    cJSON_AddStringToObject(dead, "reason", "the worker was killed by signal 9");
    const char *id = json_find(dead, "id")->valuestring;
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next)
        cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItem(block, "samples"), id);
}

const cJSON *judged_stage(const cJSON *results, const char *ending, const char *stage)
{
    for (const cJSON *s = json_find(results, "stages")->child; s != NULL; s = s->next)
        if (strstr(judged_text(s, "all_on"), ending) != NULL && strcmp(judged_text(s, "stage"), stage) == 0) return s;
    return NULL;
}

double judged_stage_floor(const cJSON *results, const char *ending, const char *stage, const char *side)
{
    return judged_number(json_find(judged_stage(results, ending, stage), side), "noise_floor");
}
