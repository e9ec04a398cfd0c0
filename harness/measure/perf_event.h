/* perf_event.h - one event of the kernel's, of this process and the threads that it makes later. */
#ifndef CIUIC_PERF_EVENT_H
#define CIUIC_PERF_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* A stopped counter of PERF_TYPE_x and PERF_COUNT_x, in user mode only, which is allowed up to perf_event_paranoid = 2; `kernel`:
 * in the kernel as well, where what the scheduler does is counted, up to 1. -1 and errno where that cannot be. */
int perf_event_open(uint32_t type, uint64_t config, bool kernel);
void perf_event_start(int file); /* goes on counting; -1 is allowed */
void perf_event_stop(int file);
/* Scaled for the time in which a multiplexed counter was not running; NaN when it never was, or for -1. */
double perf_event_read(int file);

#endif
