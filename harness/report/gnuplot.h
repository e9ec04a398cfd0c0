/* gnuplot.h - runs gnuplot as a child, without a shell, and takes what it draws from a pipe. */
#ifndef CIUIC_GNUPLOT_H
#define CIUIC_GNUPLOT_H

#include <stddef.h>

#include "optimizer/ciuic.h"

/* Runs `script` (length bytes) in `directory`, where its data files are; *output (to be freed, ends in NUL) is what
 * gnuplot wrote to its standard output, *bytes of it: it may hold a bitmap. CIUIC_ERROR_UNSUPPORTED when there is no gnuplot, or when it failed, wrote
 * nothing or took longer than half a minute. */
ciuic_status gnuplot_run(const char *directory, const char *script, size_t length, char **output, size_t *bytes);

#endif
