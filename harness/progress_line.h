/* progress_line.h - how far a long piece of work is: one line on stderr, rewritten in place and only when that is a
 * terminal; and the end of the work when whoever waits interrupts it. */
#ifndef CIUIC_PROGRESS_LINE_H
#define CIUIC_PROGRESS_LINE_H

#include "optimizer/ciuic.h"

/* Of one command. Its name is given, the rest zero. */
typedef struct progress_line {
    const char *command;
    char what[64]; /* the present piece of work */
    double began_s, shown_s;
} progress_line;

/* A ciuic_progress_fn whose context is the progress_line: "eval: quantising, 40%, 12 s left", at most four times a
 * second. After a signal (commands.h) CIUIC_ERROR_INTERRUPTED: "eval: interrupted while quantising; nothing was written". */
ciuic_status progress_line_tell(void *line, const char *what, size_t done, size_t total);
/* Takes the line away. Call it before anything else is printed, whatever became of the work. */
void progress_line_end(progress_line *line);

#endif
