/* cmd_synth.c - `ciuic synth`: a random checkpoint of a real model's shape, for speed and memory where no trained one is
 * at hand. */
#include <stdio.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/monotonic_clock.h"
#include "harness/synth/write.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic synth --like SHAPE.json [--layers N] [--seed S] -o DIR [--json]\n"
                           "\n"
                           "Writes a checkpoint with random BF16 weights and the shape of a real model.\n"
                           "Its speed and memory are those of the model; its errors are not, for it\n"
                           "was never trained. The same seed gives the same bytes.\n"
                           "\n"
                           "  --like SHAPE.json  a model's config.json; datasets/shapes has several\n"
                           "  --layers N         only the first N layers\n"
                           "  --seed S           of the weights (1)\n"
                           "  -o, --output DIR   the folder to make; it appears whole or not at all\n"
                           "  --json             one JSON object on stdout\n"
                           "\n"
                           "example:\n"
                           "  ciuic synth --like datasets/shapes/deepseek-v2-lite.json --layers 4 \\\n"
                           "      -o build/models/deepseek-v2-lite-4-layers\n";

typedef struct synth_progress {
    const char *output;
    double began_s, shown_s;
    bool terminal;
} synth_progress;

/* At most four times a second: a line rewritten in place. */
static ciuic_status show_progress(void *context, size_t done_bytes, size_t total_bytes)
{
    synth_progress *p = context;
    if (command_interrupted())
        return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "synth: interrupted; nothing was left at %s", p->output);
    const double now = monotonic_s(), elapsed_s = now - p->began_s;
    if (!p->terminal || now - p->shown_s < 0.25 || done_bytes == 0) return CIUIC_OK;
    p->shown_s = now;
    const double share = (double)done_bytes / (double)total_bytes;
    fprintf(stderr, "\r\033[Ksynth: %.0f%% of %.1f GB, %.0f s left", 100 * share, (double)total_bytes * 1e-9,
            elapsed_s * (1 - share) / share);
    fflush(stderr);
    return CIUIC_OK;
}

static ciuic_status print_json(const synth_request *request, const synth_result *result, double seconds)
{
    cJSON *object = cJSON_CreateObject();
    const bool complete =
        object != NULL && cJSON_AddStringToObject(object, "path", request->output) != NULL &&
        cJSON_AddStringToObject(object, "like", request->like) != NULL &&
        json_add_size(object, "seed", request->seed) && json_add_size(object, "layers", result->layers) &&
        json_add_size(object, "tensors", result->tensors) && json_add_size(object, "shards", result->shards) &&
        json_add_size(object, "parameters", result->parameters) && json_add_size(object, "bytes", result->bytes) &&
        json_add_double(object, "seconds", seconds);
    return command_print_json(object, complete);
}

int cmd_synth(int argc, char **argv)
{
    synth_request request = {.seed = 1};
    synth_result result = {0};
    bool json = false;
    const command_option options[] = {
        {.name = "--like", .kind = OPTION_TEXT, .value = (void *)&request.like},
        {.name = "--layers", .kind = OPTION_SIZE, .value = &request.layers, .min = 1, .max = 1 << 16},
        {.name = "--seed", .kind = OPTION_SIZE, .value = &request.seed, .min = 0, .max = (size_t)1 << 53},
        {.name = "--output", .letter = "-o", .kind = OPTION_TEXT, .value = (void *)&request.output},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &json},
    };
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 0, 0, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    if (request.like == NULL || request.output == NULL)
        return command_exit(ciuic_fail(CIUIC_ERROR_USAGE,
                                       "synth: %s is missing; 'ciuic synth --help' shows how it is used",
                                       request.like == NULL ? "--like" : "-o"));

    command_catch_interrupts();
    synth_progress progress = {
        .output = request.output, .began_s = monotonic_s(), .terminal = isatty(STDERR_FILENO) == 1};
    status = synth_write(&request, show_progress, &progress, &result);
    if (progress.shown_s > 0) fputs("\r\033[K", stderr);
    if (status != CIUIC_OK) return command_exit(status);

    const double seconds = monotonic_s() - progress.began_s;
    if (json) return command_exit(print_json(&request, &result, seconds));
    printf("%s: %zu layers, %zu parameters, %zu bytes in %zu file%s, seed %zu, in %.1f s\n", request.output,
           result.layers, result.parameters, result.bytes, result.shards, result.shards == 1 ? "" : "s", request.seed,
           seconds);
    return command_exit(CIUIC_OK);
}
