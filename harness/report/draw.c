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
static ciuic_status make_script(const drawing *d, gnuplot_script *script)
{
    const embedded_file style = embedded_style(), own = embedded_plot(d->kind);
    FILE *out = open_memstream(&script->text, &script->length);
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

/* What gnuplot wrote becomes the file and *svg. */
static ciuic_status finish(const drawing *d, const char *raw, char **svg, char problem[DRAW_PROBLEM])
{
    char *inline_svg = svg_finish(raw, d->slug, d->title, false);
    char *standalone = svg_finish(raw, d->slug, d->title, true);
    ciuic_status status = CIUIC_OK;
    if (inline_svg == NULL || standalone == NULL)
        snprintf(problem, DRAW_PROBLEM, "gnuplot wrote something that is not SVG");
    else
        status = write_file(d, "svg", standalone, strlen(standalone));
    free(standalone);
    *svg = inline_svg;
    return status;
}

/* At most GNUPLOT_BATCH of them. */
static ciuic_status draw_batch(const drawing *list, size_t count, char **svgs, char problem[DRAW_PROBLEM])
{
    gnuplot_script scripts[GNUPLOT_BATCH] = {{0}};
    char *raw[GNUPLOT_BATCH] = {NULL};
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) {
        status = write_file(&list[i], "dat", list[i].data, list[i].bytes);
        if (status == CIUIC_OK) status = make_script(&list[i], &scripts[i]);
    }
    if (status == CIUIC_OK && count > 1) gnuplot_run_batch(list[0].folder, scripts, count, raw);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) {
        /* One that cannot be drawn must not cost the others. */
        if (raw[i] != NULL || gnuplot_run(list[i].folder, scripts[i].text, scripts[i].length, &raw[i]) == CIUIC_OK)
            status = finish(&list[i], raw[i], &svgs[i], problem);
        else
            snprintf(problem, DRAW_PROBLEM, "%s", ciuic_last_error());
    }
    for (size_t i = 0; i < count; i++) {
        free(scripts[i].text);
        free(raw[i]);
    }
    return status;
}

ciuic_status draw_plots(const drawing *list, size_t count, char **svgs, char problem[DRAW_PROBLEM])
{
    for (size_t i = 0; i < count; i++) svgs[i] = NULL;
    for (size_t i = 0; i < count; i += GNUPLOT_BATCH) {
        const size_t n = count - i < GNUPLOT_BATCH ? count - i : GNUPLOT_BATCH;
        CIUIC_TRY(draw_batch(list + i, n, svgs + i, problem));
    }
    return CIUIC_OK;
}

ciuic_status draw_plot(const drawing *d, char **svg, char problem[DRAW_PROBLEM])
{
    char *drawn = NULL;
    const ciuic_status status = draw_plots(d, 1, &drawn, problem);
    if (svg != NULL)
        *svg = drawn;
    else
        free(drawn);
    return status;
}
