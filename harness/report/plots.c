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

static ciuic_status make_plot(const result_set *r, size_t group, size_t kind, const char *folder, plot_set *set)
{
    char slug[64], label[128], title[256], variables[96];
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
        snprintf(variables, sizeof variables, "rows = %zu\nlongest = %zu\n", rows, longest_label(data));
        const drawing d = {kinds[kind].kind, folder, slug, title, variables};
        status = draw_plot(&d, data, bytes, &p->svg, set->problem);
    }
    free(data);
    return status;
}

/* One plot for all groups: what a bit buys is a question about a format, not about a workload. */
static ciuic_status make_bits_plot(const result_set *r, const char *folder, plot_set *set)
{
    char *data = NULL, *variables = NULL;
    size_t bytes = 0, variables_bytes = 0, panels = 0;
    FILE *rows = open_memstream(&data, &bytes), *settings = open_memstream(&variables, &variables_bytes);
    ciuic_status status = rows != NULL && settings != NULL ? bits_plot_data(r, rows, settings, &panels)
                                                           : ciuic_fail_memory("plot data", 0);
    const bool closed = (rows == NULL || fclose(rows) == 0) && (settings == NULL || fclose(settings) == 0);
    if (status == CIUIC_OK && !closed) status = ciuic_fail_memory("plot data", bytes);
    if (status == CIUIC_OK && panels > 0) {
        plot *p = &set->plots[set->count++];
        *p = (plot){.kind = "bits", .file = "plots/bits.svg"};
        const drawing d = {"bits", folder, "bits", "Bits per weight against KL", variables};
        status = draw_plot(&d, data, bytes, &p->svg, set->problem);
    }
    free(data);
    free(variables);
    return status;
}

ciuic_status plots_make(const result_set *r, const char *directory, plot_set *set)
{
    *set = (plot_set){0};
    if (r->group_count == 0) return CIUIC_OK;
    char *folder = NULL;
    if (asprintf(&folder, "%s/plots", directory) < 0) return ciuic_fail_memory("a path", strlen(directory));
    ciuic_status status = CIUIC_OK;
    set->plots = calloc(r->group_count * KINDS + 1, sizeof *set->plots);
    if (set->plots == NULL)
        status = ciuic_fail_memory("plots", r->group_count * KINDS * sizeof *set->plots);
    else if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be made: %s; choose another folder with -o", folder,
                            strerror(errno));
    for (size_t group = 0; group < r->group_count && status == CIUIC_OK; group++)
        for (size_t kind = 0; kind < KINDS && status == CIUIC_OK; kind++)
            if (results_timed(r->root) || !kinds[kind].of_time) status = make_plot(r, group, kind, folder, set);
    if (status == CIUIC_OK) status = make_bits_plot(r, folder, set);
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
