/* weight_pages.h - memory for weights that are kept on the heap: few large blocks of huge pages, carved up and freed
 * together. A decoded token reads every weight once, a new page every 4 KiB unless pages are huge: looking each of them up,
 * and the hardware's prefetchers stopping at its end, cost about a fifth of the bandwidth (measured on Zen 4). */
#ifndef CIUIC_WEIGHT_PAGES_H
#define CIUIC_WEIGHT_PAGES_H

#include <stddef.h>

typedef struct weight_pages weight_pages;

/* NULL when memory is out. */
weight_pages *weight_pages_create(void);
void weight_pages_free(weight_pages *pages); /* and all that was taken; NULL is allowed */
/* How many bytes will be taken in all, about: the next block has room for them, and no more. Otherwise a block is 64 MiB. */
void weight_pages_expect(weight_pages *pages, size_t bytes);
/* `bytes` bytes that start a cache line, undefined in value; NULL when memory is out. */
void *weight_pages_take(weight_pages *pages, size_t bytes);

#endif
