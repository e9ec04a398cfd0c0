/* generate.h - texts continued, prompt by prompt, in one session. */
#ifndef CIUIC_GENERATE_H
#define CIUIC_GENERATE_H

#include "harness/generate/prompts.h"
#include "harness/generate/sampler.h"

typedef enum generation_end {
    GENERATION_STOP_ID, /* a token that ends a text came; it is the last of the ids */
    GENERATION_LENGTH,  /* as many tokens as were asked for */
    GENERATION_CONTEXT, /* the session has no position left */
} generation_end;

/* "eos", "length", "context" */
const char *generation_end_name(generation_end end);

typedef struct generation {
    int32_t *ids; /* [count], those that were generated */
    size_t count;
    size_t prompt; /* tokens */
    size_t reused; /* tokens of the prompt that a cache of prefixes had */
    double prefill_s, decode_s;
    double sampling_s; /* choosing tokens from logits, the first one, too; not part of the others */
    generation_end end;
} generation;

typedef struct generate_request {
    ciuic_model *model;
    const token_windows *prompts; /* each row is one */
    const stop_ids *stops;        /* NULL: none ends a text */
    sampler_options sampling;
    size_t tokens;       /* most to generate for each prompt */
    size_t context;      /* of the session */
    int threads;         /* 0: all cores */
    size_t prefix_bytes; /* of a cache of prefixes; 0: none is used */
} generate_request;

/* Context that all prompts and their continuations take, at most max_context. */
size_t generate_context(const token_windows *prompts, size_t tokens, size_t max_context);

typedef struct generate_result {
    generation *texts; /* [prompts->rows] */
    size_t count;      /* of them finished */
    ciuic_memory_use memory;
    ciuic_prefix_use prefixes;
    int threads;
} generate_result;

/* CIUIC_ERROR_INTERRUPTED after a signal. Free the result whatever came out. */
ciuic_status generate_run(const generate_request *request, generate_result *result);
void generate_result_free(generate_result *result);

#endif
