/* stage_flags.c - one variant from the command line. */
#include "harness/stage_flags.h"

#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"

enum { STAGES = 4, STAGE_NAME_SIZE = 32 };
enum { STAGE_QUANTIZE, STAGE_GRAPH, STAGE_MEMORY, STAGE_ISA };

static const char *const stage_names[STAGES] = {"quantize", "graph", "memory", "isa"};

/* Writes "none, affine8 or int4" from names that end with NULL. */
static void list_names(const char *(*name_of)(int), char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; name_of(i) != NULL && used < size; i++) {
        const char *separator = i == 0 ? "" : name_of(i + 1) == NULL ? " or " : ", ";
        const int n = snprintf(text + used, size - used, "%s%s", separator, name_of(i));
        used += n > 0 ? (size_t)n : 0;
    }
}

static const char *quantize_name_of(int i)
{
    return ciuic_quantize_name((ciuic_quantize)i);
}

static const char *graph_name_of(int i)
{
    return i == 0 ? "off" : i == 1 ? "on" : NULL;
}

static const char *memory_name_of(int i)
{
    return ciuic_memory_name((ciuic_memory)i);
}

static const char *isa_name_of(int i)
{
    return i < KERNEL_ISAS ? kernel_isa_name((kernel_isa)i) : i == KERNEL_ISAS ? "best" : NULL;
}

static ciuic_status wrong_setting(const char *command, int stage, const char *typed)
{
    static const char *(*const name_of[STAGES])(int) = {quantize_name_of, graph_name_of, memory_name_of, isa_name_of};
    char expected[128];
    list_names(name_of[stage], expected, sizeof expected);
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s '%s': expected %s", command, stage_names[stage], typed, expected);
}

/* Cuts "int4,on,on,best" into its four parts. */
static ciuic_status split_stages(const char *command, const char *text, char parts[STAGES][STAGE_NAME_SIZE])
{
    const char *rest = text;
    for (int i = 0; i < STAGES; i++) {
        const size_t length = strcspn(rest, ",");
        const bool last = rest[length] == '\0';
        if (length == 0 || length >= STAGE_NAME_SIZE || last != (i == STAGES - 1))
            return ciuic_fail(
                CIUIC_ERROR_USAGE,
                "%s: --stages '%s': expected four settings, QUANTIZE,GRAPH,MEMORY,ISA, such as int4,on,on,best",
                command, text);
        memcpy(parts[i], rest, length);
        parts[i][length] = '\0';
        rest += length + 1; /* not read again after the last part */
    }
    return CIUIC_OK;
}

static ciuic_status resolve_isa(const char *command, const char *typed, const char **name)
{
    kernel_isa isa;
    if (!kernel_isa_parse(typed, &isa)) return wrong_setting(command, STAGE_ISA, typed);
    if (!kernel_isa_available(isa))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: isa '%s': this machine does not have it; the best it has is %s",
                          command, typed, kernel_isa_name(kernel_isa_best()));
    *name = kernel_isa_name(isa);
    return CIUIC_OK;
}

ciuic_status stage_flags_resolve(const char *command, const stage_flags *flags, ciuic_options *options)
{
    char parts[STAGES][STAGE_NAME_SIZE];
    const char *settings[STAGES] = {"none", "off", "off", "c"};
    const char *const typed[STAGES] = {flags->quantize, flags->graph, flags->memory, flags->isa};
    if (flags->stages != NULL) CIUIC_TRY(split_stages(command, flags->stages, parts));
    for (int i = 0; i < STAGES; i++) {
        if (flags->stages != NULL) settings[i] = parts[i];
        if (typed[i] != NULL) settings[i] = typed[i];
    }

    ciuic_options resolved = {0};
    if (!ciuic_quantize_parse(settings[STAGE_QUANTIZE], &resolved.quantize))
        return wrong_setting(command, STAGE_QUANTIZE, settings[STAGE_QUANTIZE]);
    resolved.graph = strcmp(settings[STAGE_GRAPH], "on") == 0;
    if (!resolved.graph && strcmp(settings[STAGE_GRAPH], "off") != 0)
        return wrong_setting(command, STAGE_GRAPH, settings[STAGE_GRAPH]);
    if (!ciuic_memory_parse(settings[STAGE_MEMORY], &resolved.memory))
        return wrong_setting(command, STAGE_MEMORY, settings[STAGE_MEMORY]);
    CIUIC_TRY(resolve_isa(command, settings[STAGE_ISA], &resolved.isa));
    *options = resolved;
    return CIUIC_OK;
}

void variant_name(const ciuic_options *options, char name[VARIANT_NAME_SIZE])
{
    const char *weights = options->quantize == CIUIC_QUANTIZE_NONE ? "fp16" : ciuic_quantize_name(options->quantize);
    snprintf(name, VARIANT_NAME_SIZE, "%s%s%s+%s", weights, options->graph ? "+graph" : "",
             options->memory == CIUIC_MEMORY_OFF ? "" : "+memory", options->isa ? options->isa : "c");
}

bool variant_is_reference(const ciuic_options *options)
{
    return options->quantize == CIUIC_QUANTIZE_NONE && !options->graph && options->memory == CIUIC_MEMORY_OFF &&
           !options->weights_f32 && options->kernels == NULL &&
           (options->isa == NULL || strcmp(options->isa, kernel_isa_name(KERNEL_ISA_C)) == 0);
}
