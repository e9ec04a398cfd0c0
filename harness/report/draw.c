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

/* The script again for a bitmap: another terminal, which needs no word on whether its size may change. */
static void put_as_png(FILE *out, embedded_file own)
{
    static const char terminal[] = "set terminal svg", dynamic[] = " dynamic";
    for (const char *c = own.text; *c != '\0';) {
        if (strncmp(c, terminal, sizeof terminal - 1) == 0) {
            fputs("set terminal pngcairo fontscale 0.75", out); /* points there, pixels in SVG */
            c += sizeof terminal - 1;
        } else if (strncmp(c, dynamic, sizeof dynamic - 1) == 0) {
            c += sizeof dynamic - 1;
        } else {
            fputc(*c++, out);
        }
    }
}

/* The setting of variables, the shared style and the plot's own script; then all of it once more as PNG, behind the SVG on
 * stdout, where this gnuplot can draw that. */
static ciuic_status make_script(const drawing *d, char **script, size_t *length)
{
    const embedded_file style = embedded_style(), own = embedded_plot(d->kind);
    FILE *out = open_memstream(script, length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", own.bytes);
    fprintf(out, "file = '%s.dat'\n%s", d->slug, d->variables);
    fwrite(style.text, 1, style.bytes, out);
    fwrite(own.text, 1, own.bytes, out);
    fputs("\nif (!strstrt(GPVAL_TERMINALS, \" pngcairo \")) exit\nreset\n", out);
    fwrite(style.text, 1, style.bytes, out);
    put_as_png(out, own);
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

/* Where the PNG begins in what gnuplot wrote, `bytes` long; NULL when there is none. */
static char *find_png(char *raw, size_t bytes)
{
    return memmem(raw, bytes, "\x89PNG\r\n", 6);
}

/* Files of what gnuplot wrote: raw is the SVG, and may be a PNG behind it. *inline_svg is for a page. */
static ciuic_status write_plots(const drawing *d, char *raw, size_t bytes, char **inline_svg,
                                char problem[DRAW_PROBLEM])
{
    char *png = find_png(raw, bytes);
    ciuic_status status = CIUIC_OK;
    if (png != NULL) {
        status = write_file(d, "png", png, bytes - (size_t)(png - raw));
        *png = '\0'; /* the SVG ends here */
    }
    char *standalone = svg_finish(raw, d->slug, d->title, true);
    *inline_svg = svg_finish(raw, d->slug, d->title, false);
    if (*inline_svg == NULL || standalone == NULL)
        snprintf(problem, DRAW_PROBLEM, "gnuplot wrote something that is not SVG");
    else if (status == CIUIC_OK)
        status = write_file(d, "svg", standalone, strlen(standalone));
    free(standalone);
    return status;
}

ciuic_status draw_plot(const drawing *d, const char *data, size_t bytes, char **svg, char problem[DRAW_PROBLEM])
{
    char *script = NULL, *raw = NULL, *inline_svg = NULL;
    size_t length = 0, drawn = 0;
    ciuic_status status = write_file(d, "dat", data, bytes);
    if (status == CIUIC_OK) status = make_script(d, &script, &length);
    if (status == CIUIC_OK) {
        if (gnuplot_run(d->folder, script, length, &raw, &drawn) == CIUIC_OK)
            status = write_plots(d, raw, drawn, &inline_svg, problem);
        else
            snprintf(problem, DRAW_PROBLEM, "%s", ciuic_last_error());
    }
    if (svg != NULL) {
        *svg = inline_svg;
        inline_svg = NULL;
    }
    free(inline_svg);
    free(script);
    free(raw);
    return status;
}
