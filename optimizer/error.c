/* error.c - this thread's last failure. */
#include "optimizer/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/json_syntax.h"

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
    while (line[i] != '\0') {
        /* Names come from hostile files: keep them from moving the cursor or adding lines, and the line valid UTF-8, as
         * journals and results need it, even where a name is not or was cut. */
        const unsigned char c = (unsigned char)line[i];
        size_t length = c < 0x80 ? 1 : json_utf8_length(line + i, strlen(line + i));
        if (length == 0 || c < 0x20 || c == 0x7f) {
            last_error[i++] = '?';
            continue;
        }
        for (; length > 0; length--, i++) last_error[i] = line[i];
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
