/* graph_setting.c - see graph_setting.h. */
#include "harness/graph_setting.h"

#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/plain_text.h"
#include "optimizer/graph/graph.h"
#include "optimizer/json.h"

enum { NAME_SIZE = 32 };

/* What runs where no pass is named. */
static uint32_t usual_passes(void)
{
    const ciuic_options on = {.graph = true};
    uint32_t passes = 0;
    for (int i = 0; i < CIUIC_PASSES; i++)
        if (graph_pass_selected(&on, (ciuic_pass)i)) passes |= 1u << i;
    return passes;
}

static ciuic_status wrong_name(ciuic_status refusal, const char *where, const char *typed)
{
    const char *names[CIUIC_PASSES + 2] = {"off", "on"};
    char list[GRAPH_SETTING_SIZE] = "";
    for (int i = 0; i < CIUIC_PASSES; i++) {
        names[i + 2] = ciuic_pass_name((ciuic_pass)i);
        plain_append(list, sizeof list, "%s%s", i > 0 ? ", " : "", names[i + 2]);
    }
    const char *nearest = nearest_name(typed, names, CIUIC_PASSES + 2);
    return ciuic_fail(refusal, "%s: graph '%s': expected off, on, or passes out of %s%s%s%s", where, typed, list,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

ciuic_status graph_setting_parse(ciuic_status refusal, const char *where, const char *text, ciuic_options *options)
{
    uint32_t passes = 0;
    options->graph = strcmp(text, "off") != 0;
    options->passes = 0;
    if (!options->graph || strcmp(text, "on") == 0) return CIUIC_OK;
    for (const char *rest = text;; rest++) {
        char name[NAME_SIZE];
        ciuic_pass pass;
        const size_t length = strcspn(rest, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < NAME_SIZE ? length : NAME_SIZE - 1), rest);
        if (!ciuic_pass_parse(name, &pass)) return wrong_name(refusal, where, name);
        if ((passes >> pass & 1) != 0)
            return ciuic_fail(refusal, "%s: graph '%s': pass %s is given twice", where, text, name);
        passes |= 1u << pass;
        rest += length;
        if (*rest == '\0') break;
    }
    options->passes = passes == usual_passes() ? 0 : passes;
    return CIUIC_OK;
}

void graph_setting_name(const ciuic_options *options, char name[GRAPH_SETTING_SIZE])
{
    const uint32_t passes = options->graph ? options->passes : 0;
    snprintf(name, GRAPH_SETTING_SIZE, "%s", passes != 0 ? "" : options->graph ? "on" : "off");
    for (int i = 0; i < CIUIC_PASSES; i++)
        if ((passes >> i & 1) != 0)
            plain_append(name, GRAPH_SETTING_SIZE, "%s%s", name[0] != '\0' ? "," : "", ciuic_pass_name((ciuic_pass)i));
}

bool graph_setting_add(cJSON *object, const ciuic_options *options)
{
    char name[GRAPH_SETTING_SIZE];
    if (options->passes == 0) return cJSON_AddBoolToObject(object, "graph", options->graph) != NULL;
    graph_setting_name(options, name);
    return cJSON_AddStringToObject(object, "graph", name) != NULL;
}

ciuic_status graph_setting_read(const cJSON *object, const char *where, ciuic_options *options)
{
    const cJSON *item = json_find(object, "graph");
    options->passes = 0;
    if (cJSON_IsString(item)) return graph_setting_parse(CIUIC_ERROR_INPUT, where, item->valuestring, options);
    return json_get_bool(object, where, "graph", &options->graph);
}
