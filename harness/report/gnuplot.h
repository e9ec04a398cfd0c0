/* gnuplot.h - runs gnuplot as a child, without a shell, and takes what it draws from a pipe. */
#ifndef CIUIC_GNUPLOT_H
#define CIUIC_GNUPLOT_H

#include <stddef.h>

#include "optimizer/ciuic.h"

/* Runs `script` (length bytes) in `directory`, where its data files are; *output (to be freed, ends in NUL) is what
 * gnuplot wrote to its standard output. CIUIC_ERROR_UNSUPPORTED when there is no gnuplot, or when it failed, wrote
 * nothing or took longer than half a minute. */
ciuic_status gnuplot_run(const char *directory, const char *script, size_t length, char **output);

typedef struct gnuplot_script {
    char *text;
    size_t length;
} gnuplot_script;

/* At most so many scripts one after the other in one process, each in a session of its own: starting gnuplot takes longer
 * than most plots do. outputs[i] (to be freed) as of gnuplot_run; NULL for all of them where one failed, since gnuplot then
 * ends: run them one by one. */
enum { GNUPLOT_BATCH = 32 };
void gnuplot_run_batch(const char *directory, const gnuplot_script *scripts, size_t count, char **outputs);

#endif
