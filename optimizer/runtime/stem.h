/* stem.h - running the convolutional stem of an image model: its graph, with or without passes, bound to its weights. */
#ifndef CIUIC_STEM_H
#define CIUIC_STEM_H

#include "optimizer/ciuic.h"
#include "optimizer/graph/stem.h"

/* What a layer's name stands for; the normalisation's are vectors of its channels. */
typedef enum stem_part { STEM_FILTERS, STEM_BIAS, STEM_SCALE, STEM_SHIFT, STEM_MEAN, STEM_VARIANCE } stem_part;

/* The `count` numbers of that part of `name`, which the caller keeps until the stem is made; NULL when there are none, or
 * another number of them. */
typedef const float *stem_find_fn(void *context, const char *name, stem_part part, size_t count);

typedef struct stem stem;

/* Of `options` graph, passes, memory (one planned arena, or a buffer for each operation), isa and kernels count. A tensor
 * that is not found is CIUIC_ERROR_INPUT, by its name. Free with stem_free. */
ciuic_status stem_create(const stem_config *config, const ciuic_options *options, stem_find_fn *find, void *context,
                         stem **out);
/* The same of a graph that is built and rewritten already, which the stem then owns; freed where it fails, too. */
ciuic_status stem_of_graph(graph *g, const ciuic_options *options, stem_find_fn *find, void *context, stem **out);
void stem_free(stem *s); /* NULL is allowed */

/* Numbers of an image, and of what becomes of it. */
size_t stem_inputs(const stem *s);
size_t stem_outputs(const stem *s);
const graph *stem_graph(const stem *s);

/* Runs `count` images, [count][inputs] -> out [count][outputs], on `threads` threads. */
ciuic_status stem_run(stem *s, const float *images, size_t count, int threads, float *out);

#endif
