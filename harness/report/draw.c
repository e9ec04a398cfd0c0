/* draw.c - see draw.h. */
#include "harness/report/draw.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The script again for a bitmap: another terminal, whose size is fixed. */
static void put_as_png(FILE *out, embedded_file own)
{
    static const char terminal[] = "set terminal svg", dynamic[] = " dynamic";
    for (const char *c = own.text; *c != '\0';) {
        if (strncmp(c, terminal, sizeof terminal - 1) == 0) {
            fputs("set terminal @bitmap", out);
            c += sizeof terminal - 1;
        } else if (strncmp(c, dynamic, sizeof dynamic - 1) == 0) {
            c += sizeof dynamic - 1;
        } else {
            fputc(*c++, out);
        }
    }
}

/* The setting of variables, the shared style and the plot's own script, whose SVG goes to stdout; then the same as PNG into
 * a file, where this gnuplot can draw that. */
static ciuic_status make_script(const drawing *d, gnuplot_script *script)
{
    const embedded_file style = embedded_style(), own = embedded_plot(d->kind);
    FILE *out = open_memstream(&script->text, &script->length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", own.bytes);
    fprintf(out, "file = '%s.dat'\n%s", d->slug, d->variables);
    fwrite(style.text, 1, style.bytes, out);
    fwrite(own.text, 1, own.bytes, out);
    /* Its fonts are in points, those of SVG in pixels. A gnuplot without it draws into nothing. */
    fprintf(out,
            "\nset output\nreset\ncairo = strstrt(GPVAL_TERMINALS, 'pngcairo') > 0\n"
            "bitmap = cairo ? 'pngcairo fontscale 0.75' : 'svg'\nset output (cairo ? '%s.png.part' : '/dev/null')\n",
            d->slug);
    fwrite(style.text, 1, style.bytes, out);
    put_as_png(out, own);
    fputs("\nset output\n", out);
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

/* A whole PNG takes its name; without `whole`, what there is of it goes. */
static void finish_png(const drawing *d, bool whole)
{
    char *part = NULL, *path = NULL;
    if (asprintf(&part, "%s/%s.png.part", d->folder, d->slug) < 0) part = NULL;
    if (asprintf(&path, "%s/%s.png", d->folder, d->slug) < 0) path = NULL;
    if (part != NULL && path != NULL && !(whole && rename(part, path) == 0)) unlink(part);
    free(part);
    free(path);
}

/* What gnuplot wrote becomes the files and *svg. */
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
        finish_png(&list[i], raw[i] != NULL);
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
