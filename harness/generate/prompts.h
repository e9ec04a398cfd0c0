/* prompts.h - the prompts of `ciuic generate`: token ids from the command line or from a safetensors file. */
#ifndef CIUIC_PROMPTS_H
#define CIUIC_PROMPTS_H

#include "harness/token_windows.h"

/* `source` is "1,2,3", one prompt, or FILE.safetensors[:NAME] of I32 [n], one prompt, or [rows, n], one for each row: token
 * windows of whole rows, to be freed as such. Ids outside the vocabulary and prompts longer than the context are refused. */
ciuic_status prompts_read(const char *source, size_t vocabulary, size_t max_context, token_windows *prompts);

/* The ids that end a text: eos_token_id of generation_config.json, else of config.json; a number or a list of them. */
enum { STOP_IDS_MAX = 64 };
typedef struct stop_ids {
    int32_t ids[STOP_IDS_MAX];
    size_t count; /* 0: the checkpoint names none */
} stop_ids;
ciuic_status stop_ids_read(const char *checkpoint, size_t vocabulary, stop_ids *stops);
bool stop_ids_has(const stop_ids *stops, int32_t id);

#endif
