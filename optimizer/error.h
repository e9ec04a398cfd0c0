/* error.h - failures as values inside libciuic: a status, and one line for the person who has to act on it. */
#ifndef CIUIC_ERROR_H
#define CIUIC_ERROR_H

#include "ciuic.h"

#if defined(__GNUC__)
#define CIUIC_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define CIUIC_PRINTF(format_index, first)
#endif

/* Records the line (control characters replaced, cut at 1,023 bytes) as this thread's ciuic_last_error() and returns
 * `status`, so that `return ciuic_fail(CIUIC_ERROR_INPUT, "%s: ...", path)` is all a failing function needs. */
ciuic_status ciuic_fail(ciuic_status status, const char *format, ...) CIUIC_PRINTF(2, 3);

/* For the commonest case: memory ran out for `what` (n bytes). */
ciuic_status ciuic_fail_memory(const char *what, size_t bytes);

/* Returns from the calling function when the expression failed. */
#define CIUIC_TRY(expression)                                                                                          \
    do {                                                                                                               \
        const ciuic_status ciuic_try_status = (expression);                                                            \
        if (ciuic_try_status != CIUIC_OK) return ciuic_try_status;                                                     \
    } while (0)

#endif
