/* plots.c - data to file, file to gnuplot, gnuplot to SVG, for each kind of plot and each group. */
#include "harness/report/plots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/report/embedded.h"
#include "harness/report/gnuplot.h"
#include "harness/report/plot_data.h"
#include "harness/report/svg.h"
#include "optimizer/atomic_file.h"
#include "optimizer/error.h"

static const struct {
    const char *kind;
    plot_data_fn *data;
    const char *title;
} kinds[] = {
    {"speedup", plot_data_speedup, "Speed of every variant against tuned"},
    {"stages", plot_data_stages, "What each stage earns, alone and last"},
    {"memory", plot_data_memory, "Memory by kind"},
    {"error", plot_data_error, "Error by variant"},
    {"tradeoff", plot_data_tradeoff, "Speed against error"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* "speedup-1-decode64": the phase comes from a file, so only its letters and digits are used. */
static void make_slug(const result_set *r, size_t group, const char *kind, char *slug, size_t size)
{
    const result_group *g = &r->groups[group];
    char phase[24];
    size_t n = 0;
    for (const char *c = g->phase; *c != '\0' && n + 1 < sizeof phase; c++)
        if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')) phase[n++] = *c;
    phase[n] = '\0';
    snprintf(slug, size, "%s-%zu-%s%zu", kind, group + 1, phase, g->tokens);
}

/* The setting of variables, the shared style and the plot's own script. */
static ciuic_status make_script(const char *kind, const char *slug, size_t rows, char **script, size_t *length)
{
    const embedded_file style = embedded_style(), own = embedded_plot(kind);
    FILE *out = open_memstream(script, length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", own.bytes);
    fprintf(out, "rows = %zu\nfile = '%s.dat'\n", rows, slug);
    fwrite(style.text, 1, style.bytes, out);
    fwrite(own.text, 1, own.bytes, out);
    return fclose(out) == 0 ? CIUIC_OK : ciuic_fail_memory("a gnuplot script", own.bytes);
}

static ciuic_status write_file(const char *folder, const char *slug, const char *extension, const char *text,
                               size_t bytes)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.%s", folder, slug, extension) < 0) return ciuic_fail_memory("a path", strlen(folder));
    const ciuic_status status = atomic_file_write(path, text, bytes);
    free(path);
    return status;
}

/* Draws and stores; what gnuplot cannot do is noted in `problem`, not failed. */
static ciuic_status draw(const char *folder, const char *slug, const char *title, const char *kind, size_t rows,
                         plot *p, char *problem, size_t problem_size)
{
    char *script = NULL, *raw = NULL, *standalone = NULL;
    size_t length = 0;
    ciuic_status status = make_script(kind, slug, rows, &script, &length);
    if (status != CIUIC_OK) goto cleanup;
    if (gnuplot_run(folder, script, length, &raw) != CIUIC_OK) {
        snprintf(problem, problem_size, "%s", ciuic_last_error());
        goto cleanup;
    }
    p->svg = svg_finish(raw, slug, title, false);
    standalone = svg_finish(raw, slug, title, true);
    if (p->svg == NULL || standalone == NULL)
        snprintf(problem, problem_size, "gnuplot wrote something that is not SVG");
    else
        status = write_file(folder, slug, "svg", standalone, strlen(standalone));

cleanup:
    free(script);
    free(raw);
    free(standalone);
    return status;
}

static ciuic_status make_plot(const result_set *r, size_t group, size_t kind, const char *folder, plot_set *set)
{
    char slug[64], label[128], title[256];
    char *data = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&data, &bytes);
    if (out == NULL) return ciuic_fail_memory("plot data", 0);
    const size_t rows = kinds[kind].data(r, group, out);
    if (fclose(out) != 0) {
        free(data);
        return ciuic_fail_memory("plot data", bytes);
    }
    ciuic_status status = CIUIC_OK;
    if (rows > 0) { /* gnuplot calls a plot without data an error */
        make_slug(r, group, kinds[kind].kind, slug, sizeof slug);
        group_label(r, group, label, sizeof label);
        snprintf(title, sizeof title, "%s: %s", kinds[kind].title, label);
        plot *p = &set->plots[set->count++];
        *p = (plot){.kind = kinds[kind].kind, .group = group};
        snprintf(p->file, sizeof p->file, "plots/%s.svg", slug);
        status = write_file(folder, slug, "dat", data, bytes);
        if (status == CIUIC_OK)
            status = draw(folder, slug, title, kinds[kind].kind, rows, p, set->problem, sizeof set->problem);
    }
    free(data);
    return status;
}

ciuic_status plots_make(const result_set *r, const char *directory, plot_set *set)
{
    *set = (plot_set){0};
    if (r->group_count == 0) return CIUIC_OK;
    char *folder = NULL;
    if (asprintf(&folder, "%s/plots", directory) < 0) return ciuic_fail_memory("a path", strlen(directory));
    ciuic_status status = CIUIC_OK;
    set->plots = calloc(r->group_count * KINDS, sizeof *set->plots);
    if (set->plots == NULL)
        status = ciuic_fail_memory("plots", r->group_count * KINDS * sizeof *set->plots);
    else if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be made: %s; choose another folder with -o", folder,
                            strerror(errno));
    for (size_t group = 0; group < r->group_count && status == CIUIC_OK; group++)
        for (size_t kind = 0; kind < KINDS && status == CIUIC_OK; kind++)
            status = make_plot(r, group, kind, folder, set);
    free(folder);
    return status;
}

void plots_free(plot_set *set)
{
    for (size_t i = 0; i < set->count; i++) free(set->plots[i].svg);
    free(set->plots);
    *set = (plot_set){0};
}

const plot *plots_find(const plot_set *set, const char *kind, size_t group)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->plots[i].group == group && set->plots[i].svg != NULL && strcmp(set->plots[i].kind, kind) == 0)
            return &set->plots[i];
    return NULL;
}
