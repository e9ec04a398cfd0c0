/* json_layout.h - JSON laid out to be read and reviewed: two blanks a level, what is short on one line, one line for each
 * member of an object whose members change on their own. The same tree gives the same bytes. */
#ifndef CIUIC_JSON_LAYOUT_H
#define CIUIC_JSON_LAYOUT_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Writes the tree and a newline by way of atomic_file. Members called one of the n `spread` are never put on one line. Numbers
 * print as they would read back (json_exact_numbers is applied). */
ciuic_status json_layout_write(const char *path, cJSON *tree, const char *const *spread, size_t n);

#endif
