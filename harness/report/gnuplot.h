/* gnuplot.h - runs gnuplot as a child, without a shell, beside whatever the program does meanwhile. */
#ifndef CIUIC_GNUPLOT_H
#define CIUIC_GNUPLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "optimizer/ciuic.h"

typedef struct gnuplot_script {
    char *text;
    size_t length;
} gnuplot_script;

/* A gnuplot at work. All zero: none is. */
typedef struct gnuplot_process {
    pid_t child;
    FILE *output; /* what it draws goes into this file, so that nobody has to stand by and read */
    int alive;    /* an end of a pipe whose other end closes with the child */
    double deadline_s, allowed_s;
    size_t count; /* of scripts */
} gnuplot_process;

/* Starts one that runs `count` scripts in `directory`, where their data files are, one after the other and each in a session of
 * its own: starting gnuplot takes longer than most plots do. The scripts are not needed afterwards. CIUIC_ERROR_UNSUPPORTED when no
 * process can be had. End it with gnuplot_finish. */
ciuic_status gnuplot_start(gnuplot_process *p, const char *directory, const gnuplot_script *scripts, size_t count);

typedef enum gnuplot_outcome {
    GNUPLOT_ENDED,
    GNUPLOT_AGAIN, /* script *whole is to blame, and those behind it are worth another start */
    GNUPLOT_HUNG,  /* it took longer than half a minute and two seconds for each script, and so would another */
} gnuplot_outcome;

/* Waits for it. outputs[i] (to be freed) is what script i wrote to its standard output; NULL from script *whole on. Less than all is
 * CIUIC_ERROR_UNSUPPORTED: there is no gnuplot, it failed, or it hung. */
ciuic_status gnuplot_finish(gnuplot_process *p, char **outputs, size_t *whole, gnuplot_outcome *outcome);

#endif
