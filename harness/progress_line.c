/* progress_line.c - see progress_line.h. */
#include "harness/progress_line.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/monotonic_clock.h"

ciuic_status progress_line_tell(void *context, const char *what, size_t done, size_t total)
{
    progress_line *line = context;
    if (command_interrupted())
        return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "%s: interrupted while %s; nothing was written", line->command,
                          what);
    const double now = monotonic_s();
    if (strcmp(line->what, what) != 0) {
        snprintf(line->what, sizeof line->what, "%s", what);
        line->began_s = now;
    }
    if (isatty(STDERR_FILENO) != 1 || now - line->shown_s < 0.25 || total == 0) return CIUIC_OK;
    line->shown_s = now;
    const double share = (double)done / (double)total;
    fprintf(stderr, "\r\033[K%s: %s, %.0f%%", line->command, what, 100 * share);
    if (done > 0) fprintf(stderr, ", %.0f s left", (now - line->began_s) * (1 - share) / share);
    fflush(stderr);
    return CIUIC_OK;
}

void progress_line_end(progress_line *line)
{
    if (line->shown_s > 0) fputs("\r\033[K", stderr);
    line->shown_s = 0;
    line->what[0] = '\0';
}
