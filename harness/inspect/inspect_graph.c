/* inspect_graph.c - see inspect_graph.h. */
#include "harness/inspect/inspect_graph.h"

#include <string.h>

#include "harness/graph_setting.h"
#include "harness/inspect/graph_print.h"
#include "harness/inspect/stem_file.h"

static const char command[] = "inspect";

static ciuic_status one_of_two(const char *flag, const char *typed, const char *usual, const char *other,
                               bool *is_other)
{
    *is_other = typed != NULL && strcmp(typed, other) == 0;
    if (typed == NULL || *is_other || strcmp(typed, usual) == 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s '%s': expected %s or %s", command, flag, typed, usual, other);
}

bool graph_flags_typed(const graph_flags *f)
{
    return f->phase || f->passes || f->memory || f->format || f->tokens > 0 || f->depth > 0;
}

static bool is_config(const char *operand)
{
    const size_t length = strlen(operand);
    return length > 5 && strcmp(operand + length - 5, ".json") == 0;
}

/* Bytes that a weight takes on average, codes and scales together. */
static double bytes_a_weight(const checkpoint *c)
{
    size_t bytes = 0;
    for (size_t i = 0; i < checkpoint_count(c); i++)
        if (checkpoint_uses(c, i)) bytes += checkpoint_at(c, i)->bytes;
    return checkpoint_parameters(c) > 0 ? (double)bytes / (double)checkpoint_parameters(c) : 2;
}

static ciuic_status fill_request(const graph_flags *flags, graph_request *r, bool *dot)
{
    bool prefill = false;
    CIUIC_TRY(one_of_two("--phase", flags->phase, "decode", "prefill", &prefill));
    r->options.memory = CIUIC_MEMORY_ON;
    if (flags->memory != NULL && !ciuic_memory_parse(flags->memory, &r->options.memory))
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: --memory '%s': expected off, on or aggressive", command,
                          flags->memory);
    CIUIC_TRY(one_of_two("--format", flags->format, "text", "dot", dot));
    CIUIC_TRY(graph_setting_parse(CIUIC_ERROR_USAGE, command, flags->passes ? flags->passes : "on", &r->options));
    if (r->stem != NULL) {
        r->tokens = flags->tokens > 0 ? flags->tokens : 1;
        if (flags->phase == NULL && flags->depth == 0) return CIUIC_OK;
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s is of a stem, which has no phases and no cache; leave out %s",
                          command, r->name, flags->phase != NULL ? "--phase" : "--depth");
    }
    if (!prefill && flags->tokens > 1)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: --tokens %zu: decode takes one at a time; add --phase prefill",
                          command, flags->tokens);
    r->decode = !prefill;
    const size_t most = r->config->max_position, tokens = prefill ? 512 : 1, depth = prefill ? 0 : 1024;
    r->tokens = flags->tokens > 0 ? flags->tokens : tokens < most ? tokens : most;
    r->depth = flags->depth > 0 ? flags->depth : depth;
    if (flags->depth == 0 && r->depth + r->tokens > most) r->depth = most > r->tokens ? most - r->tokens : 0;
    if (r->depth + r->tokens > most)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %zu tokens at depth %zu: %s has %zu positions", command, r->tokens,
                          r->depth, r->name, most);
    return CIUIC_OK;
}

static ciuic_status print(const graph_trace *trace, bool dot, bool json)
{
    if (json) {
        cJSON *object = cJSON_CreateObject();
        return command_print_json(object, object != NULL && graph_print_json(trace, object));
    }
    if (dot)
        graph_print_dot(trace, stdout);
    else
        graph_print_text(trace);
    return CIUIC_OK;
}

/* What the operand names, one of three. */
typedef struct subject {
    checkpoint *checkpoint;
    model_config config;
    stem_file stem;
} subject;

static ciuic_status open_subject(const char *operand, subject *s, graph_request *r)
{
    bool is_stem = false;
    r->name = operand;
    r->weight_bytes = 2;
    if (!is_config(operand)) {
        CIUIC_TRY(checkpoint_open(operand, &s->checkpoint));
        r->checkpoint = s->checkpoint;
        r->config = checkpoint_config(s->checkpoint);
        r->weight_bytes = bytes_a_weight(s->checkpoint);
        return CIUIC_OK;
    }
    CIUIC_TRY(stem_file_read(operand, &s->stem, &is_stem));
    if (is_stem) {
        r->stem = &s->stem.config;
        r->weight_bytes = 4; /* filters are FP32 */
        return CIUIC_OK;
    }
    CIUIC_TRY(model_config_read(operand, &s->config));
    r->config = &s->config;
    return CIUIC_OK;
}

ciuic_status inspect_graph(const char *operand, const graph_flags *flags, bool json)
{
    subject found = {0};
    graph_trace trace = {0};
    bool dot = false;
    graph_request request = {0};
    ciuic_status status = open_subject(operand, &found, &request);
    if (status == CIUIC_OK) status = fill_request(flags, &request, &dot);
    if (status == CIUIC_OK && dot && json)
        status = ciuic_fail(CIUIC_ERROR_USAGE, "%s: --format dot and --json exclude each other", command);
    if (status == CIUIC_OK) status = graph_trace_make(&request, &trace);
    if (status == CIUIC_OK) status = print(&trace, dot, json);
    graph_trace_free(&trace);
    checkpoint_release(found.checkpoint);
    stem_file_free(&found.stem);
    return status;
}
