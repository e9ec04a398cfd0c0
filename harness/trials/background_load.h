/* background_load.h - a process that disturbs: busy on one core for half of the time, in pieces of random length. */
#ifndef CIUIC_TRIALS_BACKGROUND_LOAD_H
#define CIUIC_TRIALS_BACKGROUND_LOAD_H

#include <stdint.h>
#include <sys/types.h>

/* Starts it on the last core that this process may use: workers of one thread run on the first. It ends with its parent.
 * -1 when it could not be started. */
pid_t background_load_start(uint64_t seed);
/* Ends it; the share of one core that it took. */
double background_load_stop(pid_t pid, double since_s);

#endif
