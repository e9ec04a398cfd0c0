/* draw.c - see draw.h. */
#include "harness/report/draw.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report/embedded.h"
#include "harness/report/gnuplot_crew.h"
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

/* The setting of variables, the shared style and the plot's own script, whose SVG goes to stdout. */
static void write_svg_script(FILE *out, const drawing *d)
{
    const embedded_file style = embedded_style(), own = embedded_plot(d->kind);
    fwrite(style.text, 1, style.bytes, out);
    fwrite(own.text, 1, own.bytes, out);
}

/* The same as PNG into a file, where this gnuplot can draw that. Its fonts are in points, those of SVG in pixels. A gnuplot
 * without it draws into nothing. */
static void write_png_script(FILE *out, const drawing *d)
{
    const embedded_file style = embedded_style();
    fprintf(out,
            "cairo = strstrt(GPVAL_TERMINALS, 'pngcairo') > 0\n"
            "bitmap = cairo ? 'pngcairo fontscale 0.75' : 'svg'\nset output (cairo ? '%s.png.part' : '/dev/null')\n",
            d->slug);
    fwrite(style.text, 1, style.bytes, out);
    put_as_png(out, embedded_plot(d->kind));
}

typedef void script_writer(FILE *out, const drawing *d);

static ciuic_status make_script(const drawing *d, script_writer *write, gnuplot_script *script)
{
    FILE *out = open_memstream(&script->text, &script->length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", 0);
    fprintf(out, "file = '%s.dat'\n%s", d->slug, d->variables);
    write(out, d);
    const bool failed = ferror(out) != 0;
    return fclose(out) == 0 && !failed ? CIUIC_OK : ciuic_fail_memory("a gnuplot script", script->length);
}

static void free_scripts(gnuplot_script *scripts, size_t count)
{
    for (size_t i = 0; i < count && scripts != NULL; i++) free(scripts[i].text);
    free(scripts);
}

/* [count], to be freed with free_scripts; NULL on failure. */
static gnuplot_script *make_scripts(const drawing *list, size_t count, script_writer *write)
{
    gnuplot_script *scripts = calloc(count, sizeof *scripts);
    ciuic_status status = scripts != NULL ? CIUIC_OK : ciuic_fail_memory("gnuplot scripts", count * sizeof *scripts);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) status = make_script(&list[i], write, &scripts[i]);
    if (status == CIUIC_OK) return scripts;
    free_scripts(scripts, count);
    return NULL;
}

static ciuic_status write_file(const drawing *d, const char *extension, const char *text, size_t bytes)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.%s", d->folder, d->slug, extension) < 0)
        return ciuic_fail_memory("a path", strlen(d->folder));
    const ciuic_status status = atomic_file_write_unsynced(path, text, bytes);
    free(path);
    return status;
}

/* ---- PNG -------------------------------------------------------------------------------------------------------- */

struct draw_pngs {
    gnuplot_crew crew;
    gnuplot_script *scripts;
    char **outputs; /* of gnuplot: nothing, but NULL where it failed */
    char *folder;
    char (*slugs)[DRAW_SLUG];
    size_t count;
};

static void free_pngs(draw_pngs *p)
{
    free_scripts(p->scripts, p->count);
    free(p->outputs);
    free(p->folder);
    free(p->slugs);
    free(p);
}

static ciuic_status start_pngs(const drawing *list, size_t count, draw_pngs **pngs)
{
    draw_pngs *p = calloc(1, sizeof *p);
    if (p == NULL) return ciuic_fail_memory("plots", sizeof *p);
    p->count = count;
    p->outputs = calloc(count, sizeof *p->outputs);
    p->slugs = calloc(count, sizeof *p->slugs);
    p->folder = strdup(list[0].folder);
    p->scripts = make_scripts(list, count, write_png_script);
    if (p->outputs == NULL || p->slugs == NULL || p->folder == NULL || p->scripts == NULL) {
        free_pngs(p);
        return ciuic_fail_memory("plots", count * sizeof *p->slugs);
    }
    for (size_t i = 0; i < count; i++) snprintf(p->slugs[i], sizeof p->slugs[i], "%s", list[i].slug);
    crew_start(&p->crew, p->folder, p->scripts, count);
    *pngs = p;
    return CIUIC_OK;
}

/* A whole PNG takes its name; without `whole`, what there is of it goes. */
static void finish_png(const char *folder, const char *slug, bool whole)
{
    char *part = NULL, *path = NULL;
    if (asprintf(&part, "%s/%s.png.part", folder, slug) < 0) part = NULL;
    if (asprintf(&path, "%s/%s.png", folder, slug) < 0) path = NULL;
    if (part != NULL && path != NULL && !(whole && rename(part, path) == 0)) unlink(part);
    free(part);
    free(path);
}

void draw_pngs_finish(draw_pngs *p, char problem[DRAW_PROBLEM])
{
    if (p == NULL) return;
    (void)crew_finish(&p->crew, p->outputs, problem, DRAW_PROBLEM);
    for (size_t i = 0; i < p->count; i++) {
        finish_png(p->folder, p->slugs[i], p->outputs[i] != NULL);
        free(p->outputs[i]);
    }
    free_pngs(p);
}

/* ---- SVG -------------------------------------------------------------------------------------------------------- */

/* What gnuplot wrote becomes the file and *svg. */
static ciuic_status finish_svg(const drawing *d, const char *raw, char **svg, char problem[DRAW_PROBLEM])
{
    char *inline_svg = svg_finish(raw, d->slug, d->title);
    char *standalone = inline_svg != NULL ? svg_standalone(inline_svg) : NULL;
    ciuic_status status = CIUIC_OK;
    if (standalone == NULL)
        snprintf(problem, DRAW_PROBLEM, "gnuplot wrote something that is not SVG");
    else
        status = write_file(d, "svg", standalone, strlen(standalone));
    free(standalone);
    *svg = inline_svg;
    return status;
}

/* The scripts of all, to gnuplot and back. raw: [count]. *hung: as of crew_finish. */
static ciuic_status draw_raw(const drawing *list, size_t count, char **raw, char problem[DRAW_PROBLEM], bool *hung)
{
    gnuplot_script *scripts = make_scripts(list, count, write_svg_script);
    if (scripts == NULL) return ciuic_fail_memory("gnuplot scripts", count * sizeof *scripts);
    gnuplot_crew crew;
    crew_start(&crew, list[0].folder, scripts, count);
    *hung = crew_finish(&crew, raw, problem, DRAW_PROBLEM);
    free_scripts(scripts, count);
    return CIUIC_OK;
}

ciuic_status draw_plots(const drawing *list, size_t count, char **svgs, char problem[DRAW_PROBLEM], draw_pngs **pngs)
{
    ciuic_status status = CIUIC_OK;
    bool hung = false;
    *pngs = NULL;
    for (size_t i = 0; i < count; i++) svgs[i] = NULL;
    if (count == 0) return CIUIC_OK;
    char **raw = calloc(count, sizeof *raw);
    if (raw == NULL) return ciuic_fail_memory("plots", count * sizeof *raw);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++)
        status = write_file(&list[i], "dat", list[i].data, list[i].bytes);
    if (status == CIUIC_OK) status = draw_raw(list, count, raw, problem, &hung);
    /* PNGs take longest, and no page waits for them: they are drawn while the page is written. */
    if (status == CIUIC_OK && !hung) status = start_pngs(list, count, pngs);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++)
        if (raw[i] != NULL) status = finish_svg(&list[i], raw[i], &svgs[i], problem);
    for (size_t i = 0; i < count; i++) free(raw[i]);
    free(raw);
    return status;
}

ciuic_status draw_plot(const drawing *d, char problem[DRAW_PROBLEM])
{
    char *svg = NULL;
    draw_pngs *png = NULL;
    const ciuic_status status = draw_plots(d, 1, &svg, problem, &png);
    draw_pngs_finish(png, problem);
    free(svg);
    return status;
}
