/* report.c - check, judge, plot, and write both forms of the page. */
#include "harness/report/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/judge.h"
#include "harness/report/embedded.h"
#include "harness/report/schema.h"
#include "harness/report/sections.h"
#include "harness/results_file.h"
#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static section_fn *const sections[] = {
    section_answer,   section_verdicts, section_variants, section_stages,   section_attribution, section_speed,
    section_rounds,   section_memory,   section_limits,   section_prefixes, section_accuracy,    section_bits,
    section_tradeoff, section_counters, section_failures, section_machine,  section_method,      section_reproduce,
};

static void write_sections(FILE *stream, page_form form, const report_view *v)
{
    page p = page_begin(stream, form);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) sections[i](&p, v);
    page_end(&p);
}

/* "made-up-model on Made-up CPU, 2 cores, 2000-01-01" */
static void write_subtitle(FILE *stream, page_form form, const report_view *v)
{
    char text[512] = "";
    const cJSON *machine = json_find(v->r->root, "machine"), *cores = json_find(machine, "cores");
    size_t used = 0;
    for (size_t g = 0; g < v->r->group_count && used < 200; g++) {
        bool known = false;
        for (size_t h = 0; h < g; h++)
            known = known || strcmp(v->r->groups[h].checkpoint, v->r->groups[g].checkpoint) == 0;
        if (!known)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.60s", used > 0 ? ", " : "",
                                     v->r->groups[g].checkpoint);
    }
    char threads[48] = "";
    if (v->r->group_count > 0)
        snprintf(threads, sizeof threads, ", %zu thread%s", v->r->groups[0].threads,
                 v->r->groups[0].threads == 1 ? "" : "s");
    for (size_t g = 1; g < v->r->group_count; g++)
        if (v->r->groups[g].threads != v->r->groups[0].threads) threads[0] = '\0';
    snprintf(text + used, sizeof text - used, "%s%.80s, %.0f cores%s \xc2\xb7 suite %.40s \xc2\xb7 %.10s",
             used > 0 ? " on " : "", view_text(machine, "cpu", "an unknown CPU"),
             json_is_number(cores) ? cores->valuedouble : 0.0, threads, view_text(v->r->root, "suite", "unknown"),
             view_text(v->r->root, "started", ""));
    page_escape(stream, form, text);
}

/* ---- template --------------------------------------------------------------------------------------------------- */

static void write_template(FILE *stream, const report_view *v)
{
    const embedded_file template = embedded_template();
    for (const char *c = template.text; *c != '\0';) {
        if (strncmp(c, "@SUBTITLE@", 10) == 0) {
            write_subtitle(stream, PAGE_HTML, v);
            c += 10;
        } else if (strncmp(c, "@CONTENT@", 9) == 0) {
            write_sections(stream, PAGE_HTML, v);
            c += 9;
        } else {
            fputc(*c++, stream);
        }
    }
}

static void write_markdown(FILE *stream, const report_view *v)
{
    fputs("# 3-5x faster in 70% less memory? What this machine says\n\n", stream);
    write_subtitle(stream, PAGE_MARKDOWN, v);
    fputc('\n', stream);
    write_sections(stream, PAGE_MARKDOWN, v);
}

static ciuic_status write_page(const char *directory, const char *name, void (*writer)(FILE *, const report_view *),
                               const report_view *v)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0) return ciuic_fail_memory("a path", strlen(directory));
    atomic_file file;
    ciuic_status status = atomic_file_open(path, &file);
    if (status == CIUIC_OK) {
        writer(file.stream, v);
        status = atomic_file_commit(&file);
    }
    free(path);
    return status;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

/* DIR and the folders above it. */
static ciuic_status make_directory(const char *directory)
{
    char *path = strdup(directory);
    if (path == NULL) return ciuic_fail_memory("a path", strlen(directory));
    ciuic_status status = CIUIC_OK;
    for (char *c = path; *path != '\0' && status == CIUIC_OK; c++) {
        const char end = *c;
        if (end != '\0' && (end != '/' || c == path)) continue;
        *c = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be made: %s; choose another folder with -o", path,
                                strerror(errno));
        *c = end;
        if (end == '\0') break;
    }
    free(path);
    return status;
}

static ciuic_status write_report(cJSON *root, bool edited, const char *directory, const char **notice)
{
    result_set r;
    plot_set plots = {0};
    ciuic_status status = results_index(root, &r);
    if (status == CIUIC_OK) status = make_directory(directory);
    if (status == CIUIC_OK) status = plots_make(&r, directory, &plots);
    const report_view v = {.r = &r, .plots = &plots, .edited = edited};
    if (status == CIUIC_OK) status = write_page(directory, "report.md", write_markdown, &v);
    if (status == CIUIC_OK) status = write_page(directory, "index.html", write_template, &v);
    if (status == CIUIC_OK && plots.problem[0] != '\0')
        *notice = "some plots are missing (is gnuplot installed?); the tables hold the same numbers";
    plots_free(&plots);
    results_free(&r);
    return status;
}

ciuic_status report_write(cJSON *root, const char *name, const char *directory, const char **notice)
{
    content_state content = CONTENT_UNKNOWN;
    *notice = NULL;
    CIUIC_TRY(results_check_version(root, name));
    CIUIC_TRY(schema_check_results(root, name));
    CIUIC_TRY(content_check(root, &content)); /* before judging, which writes into it */
    CIUIC_TRY(judge_results(root, json_find(root, "claims")));
    CIUIC_TRY(write_report(root, content == CONTENT_EDITED, directory, notice));
    if (content == CONTENT_EDITED)
        *notice = "these results were edited after they were written: the digest in them is that of other content";
    return CIUIC_OK;
}
