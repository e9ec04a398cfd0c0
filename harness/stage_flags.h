/* stage_flags.h - one variant from the command line: --quantize --graph --memory --isa, --stages for all four, --threads. */
#ifndef CIUIC_STAGE_FLAGS_H
#define CIUIC_STAGE_FLAGS_H

#include "harness/commands.h"

/* What was typed; NULL where nothing was. */
typedef struct stage_flags {
    const char *quantize, *graph, *memory, *isa, *stages;
    size_t threads; /* 0: all cores this process may use */
} stage_flags;

enum { STAGE_THREADS_MAX = 1024 };

/* Entries for a command's table of options. */
#define STAGE_FLAG_OPTIONS(flags)                                                                                      \
    {.name = "--quantize", .kind = OPTION_TEXT, .value = &(flags)->quantize},                                          \
        {.name = "--graph", .kind = OPTION_TEXT, .value = &(flags)->graph},                                            \
        {.name = "--memory", .kind = OPTION_TEXT, .value = &(flags)->memory},                                          \
        {.name = "--isa", .kind = OPTION_TEXT, .value = &(flags)->isa},                                                \
        {.name = "--stages", .kind = OPTION_TEXT, .value = &(flags)->stages},                                          \
    {                                                                                                                  \
        .name = "--threads", .kind = OPTION_SIZE, .value = &(flags)->threads, .min = 1, .max = STAGE_THREADS_MAX       \
    }

/* The lines of a command's --help that describe them. */
#define STAGE_FLAG_HELP                                                                                                \
    "stage flags (all stages are off unless set):\n"                                                                   \
    "  --quantize Q     none, affine8, affine4, int8 or int4\n"                                                        \
    "  --graph G        off or on\n"                                                                                   \
    "  --memory M       off or on\n"                                                                                   \
    "  --isa K          c, avx2, avx512, or best: the highest that runs here\n"                                        \
    "  --stages Q,G,M,K all four in one; a flag above overrides its part\n"                                            \
    "  --threads N      default: all cores\n"

/* Turns the flags into options; `command` begins the error. A rung that this machine cannot run is
 * CIUIC_ERROR_UNSUPPORTED, any other mistake CIUIC_ERROR_USAGE. "best" becomes the rung's own name. */
ciuic_status stage_flags_resolve(const char *command, const stage_flags *flags, ciuic_options *options);

/* "int4+graph+memory+avx512", as in case ids ("fp16" for unquantised weights). */
enum { VARIANT_NAME_SIZE = 64 };
void variant_name(const ciuic_options *options, char name[VARIANT_NAME_SIZE]);

/* Whether the options are those of the reference: all stages off. */
bool variant_is_reference(const ciuic_options *options);

#endif
