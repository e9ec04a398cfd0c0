/* plots.c - data to file, file to gnuplot, gnuplot to SVG, for each kind of plot and each group. */
#include "harness/report/plots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/report/bits_plot.h"
#include "harness/report/draw.h"
#include "harness/report/plot_data.h"
#include "optimizer/error.h"

static const struct {
    const char *kind;
    plot_data_fn *data;
    const char *title;
    bool of_time; /* not drawn where nothing was timed */
} kinds[] = {
    {"speedup", plot_data_speedup, "Speed of every variant against tuned", true},
    {"stages", plot_data_stages, "What each stage earns, alone and last", true},
    {"attribution", plot_data_attribution, "Whose doing the speed-up is", true},
    {"memory", plot_data_memory, "Memory by kind", false},
    {"error", plot_data_error, "Error by variant", false},
    {"roofline", plot_data_roofline, "Every case under its roof", true},
    {"tradeoff", plot_data_tradeoff, "Speed against error", true},
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

/* The longest label, which is the second field of every row: the left margin holds it. */
static size_t longest_label(const char *data)
{
    size_t longest = 0;
    for (const char *line = data; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        const char *label = line + strcspn(line, "\t\n");
        if (*label != '\t') continue;
        const size_t length = strcspn(label + 1, "\t\n");
        if (length > longest) longest = length;
    }
    return longest;
}

/* What is drawn, and the texts that it borrows. */
typedef struct prepared {
    drawing d;
    char slug[DRAW_SLUG], title[256];
    char *variables, *data;
} prepared;

/* Takes `data` and `variables` in any case. */
static void add_plot(plot_set *set, prepared *list, const char *kind, size_t group, const char *folder, prepared p)
{
    prepared *own = &list[set->count];
    plot *out = &set->plots[set->count++];
    *own = p;
    *out = (plot){.kind = kind, .group = group};
    snprintf(out->file, sizeof out->file, "plots/%s.svg", own->slug);
    own->d.kind = kind;
    own->d.folder = folder;
}

static ciuic_status prepare_plot(const result_set *r, size_t group, size_t kind, const char *folder, plot_set *set,
                                 prepared *list)
{
    char label[128];
    prepared p = {.variables = NULL};
    FILE *out = open_memstream(&p.data, &p.d.bytes);
    if (out == NULL) return ciuic_fail_memory("plot data", 0);
    const size_t rows = kinds[kind].data(r, group, out);
    const bool closed = fclose(out) == 0;
    if (!closed || rows == 0) { /* gnuplot calls a plot without data an error */
        free(p.data);
        return closed ? CIUIC_OK : ciuic_fail_memory("plot data", p.d.bytes);
    }
    if (asprintf(&p.variables, "rows = %zu\nlongest = %zu\n", rows, longest_label(p.data)) < 0) {
        free(p.data);
        return ciuic_fail_memory("plot data", 0);
    }
    make_slug(r, group, kinds[kind].kind, p.slug, sizeof p.slug);
    group_label(r, group, label, sizeof label);
    snprintf(p.title, sizeof p.title, "%s: %s", kinds[kind].title, label);
    add_plot(set, list, kinds[kind].kind, group, folder, p);
    return CIUIC_OK;
}

/* One plot for all groups: what a bit buys is a question about a format, not about a workload. */
static ciuic_status prepare_bits_plot(const result_set *r, const char *folder, plot_set *set, prepared *list)
{
    prepared p = {.slug = "bits", .title = "Bits per weight against KL"};
    size_t variables_bytes = 0, panels = 0;
    FILE *rows = open_memstream(&p.data, &p.d.bytes), *settings = open_memstream(&p.variables, &variables_bytes);
    ciuic_status status = rows != NULL && settings != NULL ? bits_plot_data(r, rows, settings, &panels)
                                                           : ciuic_fail_memory("plot data", 0);
    const bool closed = (rows == NULL || fclose(rows) == 0) && (settings == NULL || fclose(settings) == 0);
    if (status == CIUIC_OK && !closed) status = ciuic_fail_memory("plot data", p.d.bytes);
    if (status == CIUIC_OK && panels > 0) {
        add_plot(set, list, "bits", 0, folder, p);
        return CIUIC_OK;
    }
    free(p.data);
    free(p.variables);
    return status;
}

static ciuic_status prepare_plots(const result_set *r, const char *folder, plot_set *set, prepared *list)
{
    for (size_t group = 0; group < r->group_count; group++)
        for (size_t kind = 0; kind < KINDS; kind++)
            if (results_timed(r->root) || !kinds[kind].of_time)
                CIUIC_TRY(prepare_plot(r, group, kind, folder, set, list));
    return prepare_bits_plot(r, folder, set, list);
}

/* All at once. */
static ciuic_status draw(plot_set *set, const prepared *list)
{
    drawing *drawings = calloc(set->count + 1, sizeof *drawings);
    char **svgs = calloc(set->count + 1, sizeof *svgs);
    ciuic_status status = drawings != NULL && svgs != NULL ? CIUIC_OK : ciuic_fail_memory("plots", set->count);
    for (size_t i = 0; i < set->count && status == CIUIC_OK; i++) {
        drawings[i] = list[i].d;
        drawings[i].slug = list[i].slug;
        drawings[i].title = list[i].title;
        drawings[i].variables = list[i].variables;
        drawings[i].data = list[i].data;
    }
    if (status == CIUIC_OK) status = draw_plots(drawings, set->count, svgs, set->problem, &set->pngs);
    for (size_t i = 0; i < set->count && svgs != NULL; i++) set->plots[i].svg = svgs[i];
    free(drawings);
    free(svgs);
    return status;
}

ciuic_status plots_make(const result_set *r, const char *directory, plot_set *set)
{
    *set = (plot_set){0};
    if (r->group_count == 0) return CIUIC_OK;
    char *folder = NULL;
    if (asprintf(&folder, "%s/plots", directory) < 0) return ciuic_fail_memory("a path", strlen(directory));
    ciuic_status status = CIUIC_OK;
    prepared *list = calloc(r->group_count * KINDS + 1, sizeof *list);
    set->plots = calloc(r->group_count * KINDS + 1, sizeof *set->plots);
    if (set->plots == NULL || list == NULL)
        status = ciuic_fail_memory("plots", r->group_count * KINDS * sizeof *set->plots);
    else if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be made: %s; choose another folder with -o", folder,
                            strerror(errno));
    if (status == CIUIC_OK) status = prepare_plots(r, folder, set, list);
    if (status == CIUIC_OK) status = draw(set, list);
    for (size_t i = 0; i < set->count && list != NULL; i++) {
        free(list[i].data);
        free(list[i].variables);
    }
    free(list);
    free(folder);
    return status;
}

void plots_finish(plot_set *set)
{
    draw_pngs_finish(set->pngs, set->problem);
    set->pngs = NULL;
}

void plots_free(plot_set *set)
{
    plots_finish(set);
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
