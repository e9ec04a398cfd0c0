/* page_cache.h - a checkpoint as after a cold start: its files are not in the page cache. */
#ifndef CIUIC_PAGE_CACHE_H
#define CIUIC_PAGE_CACHE_H

/* Advice to the kernel, which keeps pages that somebody else maps or has not written back yet. */
void page_cache_drop(const char *folder);

#endif
