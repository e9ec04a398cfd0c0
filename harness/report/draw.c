/* draw.c - see draw.h. */
#include "harness/report/draw.h"

#include <stdlib.h>
#include <string.h>

#include "harness/report/embedded.h"
#include "harness/report/gnuplot.h"
#include "harness/report/svg.h"
#include "optimizer/atomic_file.h"
#include "optimizer/error.h"

void draw_label(FILE *out, const char *text, size_t most)
{
    size_t length = 0;
    for (const char *c = text; *c != '\0' && length < most; c++, length++) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                           strchr(" +-.,:=()/_", *c) != NULL;
        fputc(plain ? *c : '?', out);
    }
    if (length == 0) fputc('-', out);
}

/* The setting of variables, the shared style and the plot's own script. */
static ciuic_status make_script(const drawing *d, char **script, size_t *length)
{
    const embedded_file style = embedded_style(), own = embedded_plot(d->kind);
    FILE *out = open_memstream(script, length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", own.bytes);
    fprintf(out, "file = '%s.dat'\n%s", d->slug, d->variables);
    fwrite(style.text, 1, style.bytes, out);
    fwrite(own.text, 1, own.bytes, out);
    return fclose(out) == 0 ? CIUIC_OK : ciuic_fail_memory("a gnuplot script", own.bytes);
}

static ciuic_status write_file(const drawing *d, const char *extension, const char *text, size_t bytes)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.%s", d->folder, d->slug, extension) < 0)
        return ciuic_fail_memory("a path", strlen(d->folder));
    const ciuic_status status = atomic_file_write(path, text, bytes);
    free(path);
    return status;
}

ciuic_status draw_plot(const drawing *d, const char *data, size_t bytes, char **svg, char problem[DRAW_PROBLEM])
{
    char *script = NULL, *raw = NULL, *standalone = NULL, *inline_svg = NULL;
    size_t length = 0;
    ciuic_status status = write_file(d, "dat", data, bytes);
    if (status == CIUIC_OK) status = make_script(d, &script, &length);
    if (status != CIUIC_OK) goto cleanup;
    if (gnuplot_run(d->folder, script, length, &raw) != CIUIC_OK) {
        snprintf(problem, DRAW_PROBLEM, "%s", ciuic_last_error());
        goto cleanup;
    }
    inline_svg = svg_finish(raw, d->slug, d->title, false);
    standalone = svg_finish(raw, d->slug, d->title, true);
    if (inline_svg == NULL || standalone == NULL)
        snprintf(problem, DRAW_PROBLEM, "gnuplot wrote something that is not SVG");
    else
        status = write_file(d, "svg", standalone, strlen(standalone));

cleanup:
    if (svg != NULL) {
        *svg = inline_svg;
        inline_svg = NULL;
    }
    free(inline_svg);
    free(script);
    free(raw);
    free(standalone);
    return status;
}
