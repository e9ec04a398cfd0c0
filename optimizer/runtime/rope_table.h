/* rope_table.h - cos and sin of rotary position embeddings, for every position of a session. */
#ifndef CIUIC_ROPE_TABLE_H
#define CIUIC_ROPE_TABLE_H

#include "optimizer/checkpoint/config.h"
#include "optimizer/ciuic.h"

typedef struct rope_table {
    size_t positions, half; /* half = rotated dimensions / 2 */
    float *cosine, *sine;   /* [positions][half] */
} rope_table;

/* Angles of `dim` rotated dimensions for positions 0 .. positions-1: default, linear, llama3 and YaRN scaling as
 * transformers computes them (modeling_rope_utils.py), YaRN's attention factor multiplied into cos and sin. */
ciuic_status rope_table_create(rope_table *table, const rope_config *config, size_t dim, size_t positions);
void rope_table_free(rope_table *table);

#endif
