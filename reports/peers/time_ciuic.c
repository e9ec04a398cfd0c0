/* time_ciuic.c - prefill and decode of one variant, timed when asked: time_llama_cpp.py lets it take turns with a peer.
 *
 *   time_ciuic CHECKPOINT QUANTIZE THREADS [ISA]
 *
 * Reads "prefill N" (N tokens into an empty cache, logits of the last) and "decode N D" (N tokens, one by one, after D) from
 * standard input and answers each with seconds; an empty line once it is ready. Graph and memory are on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "optimizer/ciuic.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(void)
{
    fprintf(stderr, "time_ciuic: %s\n", ciuic_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    enum { CONTEXT = 2048 };
    ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = argc > 4 ? argv[4] : "best"};
    if (argc < 4 || !ciuic_quantize_parse(argv[2], &options.quantize)) {
        fprintf(stderr, "usage: time_ciuic CHECKPOINT QUANTIZE THREADS [ISA]\n");
        return 2;
    }
    const ciuic_session_options with = {.context = CONTEXT, .threads = atoi(argv[3])};
    ciuic_model *source = NULL, *model = NULL;
    ciuic_session *session = NULL;
    ciuic_model_info info;
    int32_t ids[CONTEXT];
    if (ciuic_model_load(argv[1], &source) != CIUIC_OK || ciuic_optimize(source, &options, &model, NULL) != CIUIC_OK ||
        ciuic_session_create(model, &with, &session) != CIUIC_OK)
        return fail();
    ciuic_model_describe(model, &info);
    for (int i = 0; i < CONTEXT; i++) ids[i] = (int32_t)((size_t)i * 7919 % info.vocabulary);
    float *logits = malloc(info.vocabulary * sizeof *logits);
    char line[64];
    printf("\n");
    fflush(stdout);
    while (logits != NULL && fgets(line, sizeof line, stdin) != NULL) {
        size_t n = 0, depth = 0;
        const bool prefill = sscanf(line, "prefill %zu", &n) == 1;
        if ((!prefill && sscanf(line, "decode %zu %zu", &n, &depth) != 2) || n + depth > CONTEXT) return 2;
        if (ciuic_session_truncate(session, 0) != CIUIC_OK ||
            (depth > 0 && ciuic_prefill(session, ids, depth, false, logits) != CIUIC_OK))
            return fail();
        const double start = now();
        for (size_t i = 0; i < (prefill ? 1 : n); i++)
            if ((prefill ? ciuic_prefill(session, ids, n, false, logits)
                         : ciuic_decode(session, ids[depth + i], logits)) != CIUIC_OK)
                return fail();
        printf("%.9f\n", now() - start);
        fflush(stdout);
    }
    free(logits);
    ciuic_session_free(session);
    ciuic_model_free(model);
    ciuic_model_free(source);
    return 0;
}
