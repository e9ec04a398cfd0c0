/* inspect_graph.c - see inspect_graph.h. */
#include "harness/inspect/inspect_graph.h"

#include <string.h>

#include "harness/graph_setting.h"
#include "harness/inspect/graph_print.h"

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
    bool prefill = false, off = false;
    CIUIC_TRY(one_of_two("--phase", flags->phase, "decode", "prefill", &prefill));
    CIUIC_TRY(one_of_two("--memory", flags->memory, "on", "off", &off));
    CIUIC_TRY(one_of_two("--format", flags->format, "text", "dot", dot));
    CIUIC_TRY(graph_setting_parse(CIUIC_ERROR_USAGE, command, flags->passes ? flags->passes : "on", &r->options));
    if (!prefill && flags->tokens > 1)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: --tokens %zu: decode takes one at a time; add --phase prefill",
                          command, flags->tokens);
    r->options.memory = off ? CIUIC_MEMORY_OFF : CIUIC_MEMORY_ON;
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

ciuic_status inspect_graph(const char *operand, const graph_flags *flags, bool json)
{
    model_config config;
    checkpoint *c = NULL;
    graph_trace trace = {0};
    bool dot = false;
    graph_request request = {.name = operand, .config = &config, .weight_bytes = 2};
    ciuic_status status = is_config(operand) ? model_config_read(operand, &config) : checkpoint_open(operand, &c);
    if (status == CIUIC_OK && c != NULL) {
        request.checkpoint = c;
        request.config = checkpoint_config(c);
        request.weight_bytes = bytes_a_weight(c);
    }
    if (status == CIUIC_OK) status = fill_request(flags, &request, &dot);
    if (status == CIUIC_OK && dot && json)
        status = ciuic_fail(CIUIC_ERROR_USAGE, "%s: --format dot and --json exclude each other", command);
    if (status == CIUIC_OK) status = graph_trace_make(&request, &trace);
    if (status == CIUIC_OK) status = print(&trace, dot, json);
    graph_trace_free(&trace);
    checkpoint_release(c);
    return status;
}
