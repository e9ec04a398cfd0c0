/* inspect_graph.h - `ciuic inspect --graph`: its options, and what they ask for. */
#ifndef CIUIC_INSPECT_GRAPH_H
#define CIUIC_INSPECT_GRAPH_H

#include "harness/commands.h"

/* What was typed; NULL and 0 where nothing was. */
typedef struct graph_flags {
    bool graph;
    const char *phase, *passes, *memory, *format;
    size_t tokens, depth;
} graph_flags;

#define GRAPH_FLAG_OPTIONS(flags)                                                                                      \
    {.name = "--graph", .kind = OPTION_SWITCH, .value = &(flags)->graph},                                              \
        {.name = "--phase", .kind = OPTION_TEXT, .value = &(flags)->phase},                                            \
        {.name = "--passes", .kind = OPTION_TEXT, .value = &(flags)->passes},                                          \
        {.name = "--memory", .kind = OPTION_TEXT, .value = &(flags)->memory},                                          \
        {.name = "--format", .kind = OPTION_TEXT, .value = &(flags)->format},                                          \
        {.name = "--tokens", .kind = OPTION_SIZE, .value = &(flags)->tokens, .min = 1, .max = GRAPH_TOKENS_MAX},       \
    {                                                                                                                  \
        .name = "--depth", .kind = OPTION_SIZE, .value = &(flags)->depth, .min = 0, .max = GRAPH_TOKENS_MAX            \
    }
enum { GRAPH_TOKENS_MAX = 1 << 24 };

#define GRAPH_FLAG_HELP                                                                                                \
    "  --graph     operations of the graph, their costs, and what passes change;\n"                                    \
    "              CHECKPOINT may be a config.json alone, or a stem's description\n"                                   \
    "    --phase P   decode (default) or prefill\n"                                                                    \
    "    --passes G  on (default), off, or passes by name\n"                                                           \
    "    --memory M  on (default): 16-bit cache, latent for MLA; aggressive: INT8;\n"                                  \
    "                off: FP32, expanded\n"                                                                            \
    "    --tokens N  tokens of a prefill, default 512; images of a stem, default 1\n"                                  \
    "    --depth N   positions in the cache before; default 1024, of a prefill 0\n"                                    \
    "    --format F  text (default), or dot for Graphviz\n"

/* Whether one of them besides --graph was typed: without it they mean nothing. */
bool graph_flags_typed(const graph_flags *flags);
/* Prints the graph of the folder, or of the config.json, `operand`. */
ciuic_status inspect_graph(const char *operand, const graph_flags *flags, bool json);

#endif
