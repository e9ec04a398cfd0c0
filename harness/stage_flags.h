/* stage_flags.h - one variant from the command line: --quantize --graph --memory --isa, --stages for all four, --threads,
 * and how to quantise: --quantizer --group --asymmetric --layers-only --activations --bits --memory-limit --calibration. */
#ifndef CIUIC_STAGE_FLAGS_H
#define CIUIC_STAGE_FLAGS_H

#include "harness/commands.h"

/* What was typed; NULL where nothing was. */
typedef struct stage_flags {
    const char *quantize, *graph, *memory, *isa, *stages;
    const char *quantizer, *group, *activations, *bits, *memory_limit, *calibration;
    bool asymmetric, layers_only;
    size_t threads; /* 0: all cores this process may use */
} stage_flags;

enum { STAGE_THREADS_MAX = 1024 };

/* Entries for a command's table of options. */
#define STAGE_FLAG_OPTIONS(flags)                                                                                      \
    {.name = "--quantize", .kind = OPTION_TEXT, .value = &(flags)->quantize},                                          \
        {.name = "--graph", .kind = OPTION_TEXT, .value = &(flags)->graph},                                            \
        {.name = "--memory", .kind = OPTION_TEXT, .value = &(flags)->memory},                                          \
        {.name = "--isa", .kind = OPTION_TEXT, .value = &(flags)->isa},                                                \
        {.name = "--stages", .kind = OPTION_TEXT, .value = &(flags)->stages}, QUANTIZE_FLAG_OPTIONS(flags),            \
    {                                                                                                                  \
        .name = "--threads", .kind = OPTION_SIZE, .value = &(flags)->threads, .min = 1, .max = STAGE_THREADS_MAX       \
    }
#define QUANTIZE_FLAG_OPTIONS(flags)                                                                                   \
    {.name = "--quantizer", .kind = OPTION_TEXT, .value = &(flags)->quantizer},                                        \
        {.name = "--group", .kind = OPTION_TEXT, .value = &(flags)->group},                                            \
        {.name = "--asymmetric", .kind = OPTION_SWITCH, .value = &(flags)->asymmetric},                                \
        {.name = "--layers-only", .kind = OPTION_SWITCH, .value = &(flags)->layers_only},                              \
        {.name = "--activations", .kind = OPTION_TEXT, .value = &(flags)->activations},                                \
        {.name = "--bits", .kind = OPTION_TEXT, .value = &(flags)->bits},                                              \
        {.name = "--memory-limit", .kind = OPTION_TEXT, .value = &(flags)->memory_limit},                              \
    {                                                                                                                  \
        .name = "--calibration", .kind = OPTION_TEXT, .value = &(flags)->calibration                                   \
    }

/* The lines of a command's --help that describe them. */
#define STAGE_FLAG_HELP                                                                                                \
    "stage flags (all stages are off unless set):\n"                                                                   \
    "  --quantize Q     none, affine8, affine4, int8, int6, int5, int4, int3,\n"                                       \
    "                   or mixed\n"                                                                                    \
    "  --graph G        off, on, or passes by name, such as\n"                                                         \
    "                   fuse-qkv,absorb-mla; 'ciuic inspect --graph' lists them\n"                                     \
    "  --memory M       off, on, or aggressive: an INT8 cache, results in the\n"                                       \
    "                   place of their inputs, prefills in chunks\n"                                                   \
    "  --isa K          c, avx2, avx512, or best: the highest that runs here\n"                                        \
    "  --stages Q,G,M,K all four in one; a flag above overrides its part\n"                                            \
    "  --threads N      default: all cores\n" QUANTIZE_FLAG_HELP
#define QUANTIZE_FLAG_HELP                                                                                             \
    "how to quantise:\n"                                                                                               \
    "  --quantizer A    rtn (round to nearest), clip, awq or gptq; all but rtn\n"                                      \
    "                   calibrate; mixed takes gptq unless told otherwise\n"                                           \
    "  --group N        int8 to int3: columns that share a scale: 32 (default),\n"                                     \
    "                   64, 128 or row\n"                                                                              \
    "  --asymmetric     int8 to int3: a minimum beside every scale\n"                                                  \
    "  --layers-only    not the embedding and the head; not for mixed\n"                                               \
    "  --activations A  int8 (default): rounded as they come; none: left in FP32\n"                                    \
    "  --bits B         mixed: most bits a weight, over all weights and scales\n"                                      \
    "  --memory-limit S mixed: most bytes of all weights, such as 900MiB\n"                                            \
    "  --calibration F:NAME  ids to calibrate on; default: calib_ids in the\n"                                         \
    "                   checkpoint's own streams.safetensors\n"

/* Turns the flags into options; `command` begins the error. A rung that this machine cannot run is
 * CIUIC_ERROR_UNSUPPORTED, any other mistake CIUIC_ERROR_USAGE. "best" becomes the rung's own name. */
ciuic_status stage_flags_resolve(const char *command, const stage_flags *flags, ciuic_options *options);

/* "900MiB", "1.5GB", "4096": a number of B, KiB, MiB, GiB, kB, MB or GB. `flag` begins the error after `command`. */
ciuic_status stage_flags_bytes(const char *command, const char *flag, const char *typed, size_t *bytes);

/* How codes are found where nobody said: mixed by gptq, all else by rtn. */
ciuic_quantizer usual_quantizer(ciuic_quantize quantize);

/* "int4+graph+memory+avx512", as in case ids ("fp16" for unquantised weights, "+aggressive" for memory aggressive); what is not as usual is said:
 * "int4-g64-asym-layers-gptq-a32+avx512" (layers: in them only; a32: activations in FP32), "mixed4.8-gptq+graph", "mixed900000B-gptq+c" (a limit of bytes),
 * "int4+graph=fuse-qkv,absorb-mla+c" (these passes only). */
enum { VARIANT_NAME_SIZE = 352 };
void variant_name(const ciuic_options *options, char name[VARIANT_NAME_SIZE]);

/* Whether the options are those of the reference: all stages off. */
bool variant_is_reference(const ciuic_options *options);

#endif
