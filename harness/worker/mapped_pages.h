/* mapped_pages.h - giving back the pages of a mapped checkpoint whose weights were copied. */
#ifndef CIUIC_MAPPED_PAGES_H
#define CIUIC_MAPPED_PAGES_H

#include <stddef.h>

/* Gives back the whole pages of [data, data + bytes), if that lies in one read-only mapping of a file: whoever reads them
 * again gets them from the file. Returns the bytes given back; 0, and nothing has changed, for any other memory. */
size_t mapped_pages_release(const void *data, size_t bytes);

#endif
