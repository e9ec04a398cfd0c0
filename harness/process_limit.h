/* process_limit.h - a limit of this process's own memory, from here on. */
#ifndef CIUIC_PROCESS_LIMIT_H
#define CIUIC_PROCESS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

/* Sets resource, RLIMIT_AS or RLIMIT_DATA, to `bytes`, until it is lifted. False: it cannot be set, and errno says why. Under
 * AddressSanitizer nothing is set, and that is true: its shadow is terabytes of addresses, below which no limit can lie. */
bool process_limit_set(int resource, size_t bytes);

/* What the process may have from now on is again what it was started with. */
bool process_limit_lift(int resource);
/* Whether a limit that was set holds: under AddressSanitizer it does not. */
bool process_limit_holds(void);

#endif
