/* gate_fixture.c - see gate_fixture.h. */
#include "harness/tests/gate_fixture.h"

#include <stdio.h>
#include <string.h>

#include "harness/gate/record.h"
#include "harness/judge/claims.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

cJSON *gate_results(const fixture_machine *machine)
{
    cJSON *results = fixture_results(machine), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        cJSON *counters = cJSON_CreateObject();
        cJSON_AddStringToObject(counters, "source", "simulated");
        json_add_size(counters, "instructions", 1000000000u + strlen(cJSON_GetObjectItem(c, "id")->valuestring));
        json_add_size(counters, "d1_misses", 1000);
        set_member(c, "counters", counters);
    }
    cJSON_AddItemToObject(results, "checkpoints",
                          cJSON_Parse("[{\"name\": \"made-up-model\", \"sha256\": \"aaaa\","
                                      " \"files\": []}]"));
    return results;
}

const char gate_limits[] =
    "{\"schema_version\": 1, \"checkpoints\": {\"made-up-model\": \"aaaa\"}, \"limits\": ["
    "{\"id\": \"nll\", \"cases\": \"*\", \"metric\": \"accuracy.nll\", \"hard\": {\"worse\": 0.001}},"
    "{\"id\": \"rise\", \"cases\": \"int8\", \"metric\": \"accuracy.nll_rise\", \"hard\": {\"worse_by\": 0.0001}},"
    "{\"id\": \"perplexity\", \"cases\": \"int4\", \"metric\": \"accuracy.perplexity\", \"hard\": {\"worse\": 0.005}},"
    "{\"id\": \"kl\", \"cases\": \"int\", \"metric\": \"accuracy.kl\", \"hard\": {\"worse\": 0.02}},"
    "{\"id\": \"kl-int8\", \"cases\": \"int8\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 0.001}},"
    "{\"id\": \"kl-tail\", \"cases\": \"int\", \"metric\": \"accuracy.kl_p99\", \"hard\": {\"worse\": 0.02}},"
    "{\"id\": \"top1\", \"cases\": \"*\", \"metric\": \"accuracy.top1_agreement\", \"hard\": {\"worse_by\": 0.001}},"
    "{\"id\": \"cosine\", \"cases\": \"*\", \"metric\": \"accuracy.cosine\", \"hard\": {\"worse_by\": 0.00001}},"
    "{\"id\": \"error\", \"cases\": \"*\", \"metric\": \"accuracy.mean_abs_error\", \"hard\": {\"worse\": 0.02}},"
    "{\"id\": \"largest\", \"cases\": \"int\", \"metric\": \"accuracy.max_abs_error\", \"hard\": {\"worse\": 0.1}},"
    "{\"id\": \"total\", \"cases\": \"*\", \"metric\": \"memory_bytes.total\", \"hard\": {\"worse\": 0.01}},"
    "{\"id\": \"cache\", \"cases\": \"*\", \"metric\": \"memory_bytes.kv_cache\", \"hard\": {\"worse\": 0}},"
    "{\"id\": \"peak\", \"cases\": \"*\", \"metric\": \"memory_bytes.peak_rss\", \"hard\": {\"worse\": 0.05}},"
    "{\"id\": \"bits\", \"cases\": \"int4\", \"metric\": \"bits_per_weight\", \"hard\": {\"max\": 4.8}},"
    "{\"id\": \"weights\", \"cases\": \"*\", \"metric\": \"weight_bytes\", \"hard\": {\"worse\": 0}},"
    "{\"id\": \"instructions\", \"cases\": \"*\", \"metric\": \"counters.instructions\", \"hard\": {\"worse\": 0}},"
    "{\"id\": \"misses\", \"cases\": \"*\", \"metric\": \"counters.d1_misses\", \"hard\": {\"worse\": 0.1}},"
    "{\"id\": \"speed\", \"cases\": \"int8+graph+memory+avx512\", \"metric\": \"speedup\", \"hard\": {\"min\": 1.1}},"
    "{\"id\": \"speed-recorded\", \"cases\": \"int4+graph+memory+avx512\", \"metric\": \"speedup\","
    " \"hard\": {\"worse\": 0.1}}]}";

void gate_setting_judge(cJSON *results, const char *limits, gate_setting *s)
{
    cJSON *root = NULL;
    *s = (gate_setting){0};
    const ciuic_status taken = results_file_take(results, "made-up.json", &s->results);
    CHECK(taken == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_EQUAL_FATAL(taken, CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(json_parse(limits, strlen(limits), "limits.json", &root), CIUIC_OK);
    const ciuic_status status = gate_file_take(root, "limits.json", &s->limits);
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_EQUAL_FATAL(status, CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(gate_judge(&s->limits, &s->results.set, GATE_TODAY, &s->findings), CIUIC_OK);
}

void gate_setting_free(gate_setting *s)
{
    gate_findings_free(&s->findings);
    gate_file_free(&s->limits);
    results_file_free(&s->results);
}

const gate_finding *gate_setting_finding(const gate_setting *s, const char *id)
{
    for (size_t i = 0; i < s->findings.count; i++)
        if (strcmp(s->findings.list[i].id, id) == 0) return &s->findings.list[i];
    return NULL;
}

char *gate_recorded_limits(const fixture_machine *machine)
{
    gate_setting s;
    size_t changes = 0;
    FILE *nowhere = fopen("/dev/null", "w");
    gate_setting_judge(gate_results(machine), gate_limits, &s);
    CU_ASSERT_EQUAL_FATAL(gate_record(&s.limits, "limits.json", &s.results.set, nowhere, &changes), CIUIC_OK);
    CU_ASSERT_FATAL(changes > 0);
    CU_ASSERT_TRUE(json_exact_numbers(s.limits.root));
    char *printed = cJSON_PrintUnformatted(s.limits.root);
    fclose(nowhere);
    gate_setting_free(&s);
    return printed;
}
