/* error.c - this thread's last failure. */
#include "optimizer/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024];

const char *ciuic_last_error(void)
{
    return last_error;
}

ciuic_status ciuic_fail(ciuic_status status, const char *format, ...)
{
    char line[sizeof last_error]; /* not last_error itself: it may be one of the arguments */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t i = 0;
    for (; line[i] != '\0'; i++) {
        /* Names come from hostile files: keep them from moving the cursor or adding lines. */
        const unsigned char c = (unsigned char)line[i];
        last_error[i] = (c < 0x20 || c == 0x7f) ? '?' : line[i];
    }
    last_error[i] = '\0';
    return status;
}

ciuic_status ciuic_fail_memory(const char *what, size_t bytes)
{
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                      "out of memory: %zu bytes for %s could not be had; close other programs "
                      "or choose a shorter context",
                      bytes, what);
}
