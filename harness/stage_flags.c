/* stage_flags.c - one variant from the command line. */
#include "harness/stage_flags.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/graph_setting.h"
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

static const char *memory_name_of(int i)
{
    return ciuic_memory_name((ciuic_memory)i);
}

static const char *isa_name_of(int i)
{
    return i < KERNEL_ISAS ? kernel_isa_name((kernel_isa)i) : i == KERNEL_ISAS ? "best" : NULL;
}

static ciuic_status wrong_choice(const char *command, const char *flag, const char *typed, const char *(*name_of)(int))
{
    char expected[128];
    list_names(name_of, expected, sizeof expected);
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s '%s': expected %s", command, flag, typed, expected);
}

static ciuic_status wrong_setting(const char *command, int stage, const char *typed)
{
    static const char *(*const name_of[STAGES])(int) = {
        [STAGE_QUANTIZE] = quantize_name_of, [STAGE_MEMORY] = memory_name_of, [STAGE_ISA] = isa_name_of};
    return wrong_choice(command, stage_names[stage], typed, name_of[stage]);
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

static const char *quantizer_name_of(int i)
{
    return ciuic_quantizer_name((ciuic_quantizer)i);
}

static const char *activations_name_of(int i)
{
    return ciuic_activations_name((ciuic_activations)i);
}

static ciuic_status resolve_group(const char *command, const char *typed, int *group)
{
    static const struct {
        const char *name;
        int group;
    } groups[] = {{"32", 32}, {"64", 64}, {"128", 128}, {"row", CIUIC_GROUP_ROW}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(typed, groups[i].name) == 0) {
            *group = groups[i].group;
            return CIUIC_OK;
        }
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: --group '%s': expected 32, 64, 128 or row", command, typed);
}

/* A plain number above 0, with nothing behind it but what *end is left at. */
static bool positive(const char *text, double *value, char **end)
{
    if ((text[0] < '0' || text[0] > '9') && text[0] != '.') return false;
    *value = strtod(text, end);
    return isfinite(*value) && *value > 0;
}

static ciuic_status resolve_bits(const char *command, const char *typed, double *bits)
{
    char *end = NULL;
    if (positive(typed, bits, &end) && *end == '\0' && *bits <= 32) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: --bits '%s': expected a number above 0 and up to 32, such as 4.8",
                      command, typed);
}

ciuic_status stage_flags_bytes(const char *command, const char *flag, const char *typed, size_t *bytes)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},         {"B", 1},    {"KiB", 0x1p10}, {"MiB", 0x1p20},
                 {"GiB", 0x1p30}, {"kB", 1e3}, {"MB", 1e6},     {"GB", 1e9}};
    char *end = NULL;
    double value;
    if (positive(typed, &value, &end))
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strcmp(end, units[i].name) == 0 && value * units[i].factor < 0x1p60) {
                *bytes = (size_t)(value * units[i].factor);
                return CIUIC_OK;
            }
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %s '%s': expected a number of B, KiB, MiB, GiB, kB, MB or GB", command,
                      flag, typed);
}

ciuic_quantizer usual_quantizer(ciuic_quantize quantize)
{
    return quantize == CIUIC_QUANTIZE_MIXED ? CIUIC_QUANTIZER_GPTQ : CIUIC_QUANTIZER_RTN;
}

static ciuic_status resolve_quantizing(const char *command, const stage_flags *flags, ciuic_options *o)
{
    o->quantizer = usual_quantizer(o->quantize);
    if (flags->quantizer != NULL && !ciuic_quantizer_parse(flags->quantizer, &o->quantizer))
        return wrong_choice(command, "--quantizer", flags->quantizer, quantizer_name_of);
    if (flags->activations != NULL && !ciuic_activations_parse(flags->activations, &o->activations))
        return wrong_choice(command, "--activations", flags->activations, activations_name_of);
    if (flags->group != NULL) CIUIC_TRY(resolve_group(command, flags->group, &o->group));
    if (flags->bits != NULL) CIUIC_TRY(resolve_bits(command, flags->bits, &o->bits));
    if (flags->memory_limit != NULL)
        CIUIC_TRY(stage_flags_bytes(command, "--memory-limit", flags->memory_limit, &o->weight_bytes));
    if (flags->memory_limit != NULL && o->quantize != CIUIC_QUANTIZE_MIXED)
        return ciuic_fail(
            CIUIC_ERROR_USAGE,
            "%s: --memory-limit is the budget of all weights of --quantize mixed, not for %s; what a run may "
            "take is --run-limit of eval and generate",
            command, ciuic_quantize_name(o->quantize));
    o->asymmetric = flags->asymmetric;
    o->layers_only = flags->layers_only;
    o->calibration = flags->calibration;
    o->threads = (int)flags->threads;
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
    CIUIC_TRY(graph_setting_parse(CIUIC_ERROR_USAGE, command, settings[STAGE_GRAPH], &resolved));
    if (!ciuic_memory_parse(settings[STAGE_MEMORY], &resolved.memory))
        return wrong_setting(command, STAGE_MEMORY, settings[STAGE_MEMORY]);
    CIUIC_TRY(resolve_isa(command, settings[STAGE_ISA], &resolved.isa));
    CIUIC_TRY(resolve_quantizing(command, flags, &resolved));
    *options = resolved;
    return CIUIC_OK;
}

/* "int4-g64-asym-gptq-a32": what is as usual goes without saying. */
static void weights_name(const ciuic_options *o, char *name, size_t size)
{
    char group[16] = "", bits[24] = "", bytes[32] = "";
    if (o->group == CIUIC_GROUP_ROW)
        snprintf(group, sizeof group, "-row");
    else if (o->group != 0 && o->group != KERNEL_GROUP)
        snprintf(group, sizeof group, "-g%d", o->group);
    if (o->bits > 0) snprintf(bits, sizeof bits, "%.4g", o->bits);
    if (o->weight_bytes > 0) snprintf(bytes, sizeof bytes, "%s%zuB", bits[0] != '\0' ? "-" : "", o->weight_bytes);
    snprintf(name, size, "%s%s%s%s%s%s%s%s%s", ciuic_quantize_name(o->quantize), bits, bytes, group,
             o->asymmetric ? "-asym" : "", o->layers_only ? "-layers" : "",
             o->quantizer != CIUIC_QUANTIZER_RTN ? "-" : "",
             o->quantizer != CIUIC_QUANTIZER_RTN ? ciuic_quantizer_name(o->quantizer) : "",
             o->activations == CIUIC_ACTIVATIONS_NONE ? "-a32" : "");
}

void variant_name(const ciuic_options *options, char name[VARIANT_NAME_SIZE])
{
    static const char *const memory[CIUIC_MEMORY_COUNT] = {
        [CIUIC_MEMORY_OFF] = "", [CIUIC_MEMORY_ON] = "+memory", [CIUIC_MEMORY_AGGRESSIVE] = "+aggressive"};
    char weights[64] = "fp16", passes[GRAPH_SETTING_SIZE] = "";
    if (options->quantize != CIUIC_QUANTIZE_NONE) weights_name(options, weights, sizeof weights);
    if (options->passes != 0) graph_setting_name(options, passes);
    snprintf(name, VARIANT_NAME_SIZE, "%s%s%s%s%s+%s", weights, options->graph ? "+graph" : "",
             passes[0] != '\0' ? "=" : "", passes, memory[options->memory], options->isa ? options->isa : "c");
}

bool variant_is_reference(const ciuic_options *options)
{
    return options->quantize == CIUIC_QUANTIZE_NONE && !options->graph && options->memory == CIUIC_MEMORY_OFF &&
           !options->weights_f32 && options->kernels == NULL &&
           (options->isa == NULL || strcmp(options->isa, kernel_isa_name(KERNEL_ISA_C)) == 0);
}
