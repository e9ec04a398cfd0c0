/* weight_pages.c - blocks of huge pages where the kernel offers them. Pages of a block that were never written are not
 * there: what a block has room for beyond its weights costs at most a huge page. */
#include "optimizer/memory/weight_pages.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, HUGE_PAGE = 1 << 21, BLOCK = 1 << 26 };

typedef struct block {
    struct block *next;
    char *data;
    size_t bytes, used;
} block;

struct weight_pages {
    block *newest;
    size_t expected; /* bytes of the next block; 0: nobody said */
    bool told;
};

weight_pages *weight_pages_create(void)
{
    return calloc(1, sizeof(weight_pages));
}

void weight_pages_free(weight_pages *pages)
{
    if (pages == NULL) return;
    for (block *b = pages->newest, *next; b != NULL; b = next) {
        next = b->next;
        free(b->data);
        free(b);
    }
    free(pages);
}

void weight_pages_expect(weight_pages *pages, size_t bytes)
{
    pages->expected = bytes;
    pages->told = true;
}

static bool add_block(weight_pages *pages, size_t bytes)
{
    block *b = calloc(1, sizeof *b);
    if (b == NULL) return false;
    size_t wanted = pages->told ? pages->expected : BLOCK;
    if (wanted < bytes) wanted = bytes;
    b->bytes = (wanted + LINE - 1) / LINE * LINE;
    pages->expected = 0; /* what comes beyond it is a little, from rounding sizes up */
    void *data = NULL;
    if (posix_memalign(&data, HUGE_PAGE, b->bytes) != 0) {
        free(b);
        return false;
    }
    b->data = data;
    /* Advice: without it pages are small. The end stays on small ones, which cost what they hold and no more. */
    (void)madvise(b->data, b->bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    b->next = pages->newest;
    pages->newest = b;
    return true;
}

void *weight_pages_take(weight_pages *pages, size_t bytes)
{
    if (bytes > SIZE_MAX - HUGE_PAGE) return NULL;
    const size_t size = (bytes + LINE - 1) / LINE * LINE;
    if (pages->newest == NULL || pages->newest->bytes - pages->newest->used < size) {
        if (!add_block(pages, size)) return NULL;
    }
    char *taken = pages->newest->data + pages->newest->used;
    pages->newest->used += size;
    return taken;
}
