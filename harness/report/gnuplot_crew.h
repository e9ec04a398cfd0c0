/* gnuplot_crew.h - several gnuplots side by side, each with its share of many scripts. */
#ifndef CIUIC_GNUPLOT_CREW_H
#define CIUIC_GNUPLOT_CREW_H

#include "harness/report/gnuplot.h"

enum { CREW_MAX = 8 };

typedef struct gnuplot_crew {
    const char *directory;
    const gnuplot_script *scripts;
    size_t count, members;
    bool hung; /* one did, so that no more are started */
    struct {
        gnuplot_process process;
        size_t first, count; /* of scripts */
    } member[CREW_MAX];
} gnuplot_crew;

/* As many as there are processors, at most CREW_MAX. The directory and the scripts stay the caller's, and must stay until
 * crew_finish. */
void crew_start(gnuplot_crew *c, const char *directory, const gnuplot_script *scripts, size_t count);

/* Waits for all. outputs: [count], each as of gnuplot_finish; NULL where a script could not be run, which costs no other
 * script its output. `problem` (of `size` bytes) then says why, and is otherwise left alone. True: a
 * gnuplot hung, and the next would. */
bool crew_finish(gnuplot_crew *c, char **outputs, char *problem, size_t size);

#endif
