/* report.c - check, judge, plot, and write the forms of the page. */
#include "harness/report/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/judge/claims.h"
#include "harness/judge/content_digest.h"
#include "harness/plain_text.h"
#include "harness/report/csv.h"
#include "harness/report/embedded.h"
#include "harness/report/schema.h"
#include "harness/report/sections.h"
#include "harness/results_file.h"
#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static section_fn *const sections[] = {
    section_answer,   section_claims,   section_variants, section_stages, section_attribution, section_speed,
    section_rounds,   section_roofline, section_memory,   section_limits, section_prefixes,    section_packings,
    section_accuracy, section_bits,     section_tradeoff, section_work,   section_counters,    section_imported,
    section_failures, section_machine,  section_verdicts, section_method, section_reproduce,
};

/* What stays of a Markdown page that would be too long for a comment on a pull request, and of one that still would. */
static section_fn *const shorter[] = {section_answer, section_claims, section_variants, section_failures,
                                      section_reproduce};
static section_fn *const shortest[] = {section_answer, section_variants, section_reproduce};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* GitHub takes 65536 characters, and what posts it adds some of its own. */
enum { COMMENT_MAX = 60000, SUBTITLE = 512 };

static ciuic_status write_sections(page *p, const report_view *v)
{
    for (size_t i = 0; i < COUNT(sections); i++) sections[i](p, v);
    return page_end(p);
}

/* "made-up-model on Made-up CPU, 2 cores, 2000-01-01" */
static void make_subtitle(const report_view *v, char *text, size_t size)
{
    const cJSON *machine = json_find(v->r->root, "machine"), *cores = json_find(machine, "cores");
    size_t used = 0;
    for (size_t g = 0; g < v->r->group_count && used < 200; g++) {
        bool known = false;
        for (size_t h = 0; h < g; h++)
            known = known || strcmp(v->r->groups[h].checkpoint, v->r->groups[g].checkpoint) == 0;
        if (!known)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%.60s", used > 0 ? ", " : "", v->r->groups[g].checkpoint);
    }
    char threads[48] = "";
    if (v->r->group_count > 0)
        snprintf(threads, sizeof threads, ", %zu thread%s", v->r->groups[0].threads,
                 v->r->groups[0].threads == 1 ? "" : "s");
    for (size_t g = 1; g < v->r->group_count; g++)
        if (v->r->groups[g].threads != v->r->groups[0].threads) threads[0] = '\0';
    snprintf(text + used, size - used, "%s%.80s, %.0f cores%s \xc2\xb7 suite %.40s \xc2\xb7 %.10s",
             used > 0 ? " on " : "", view_text(machine, "cpu", "an unknown CPU"),
             json_is_number(cores) ? cores->valuedouble : 0.0, threads, view_text(v->r->root, "suite", "unknown"),
             view_text(v->r->root, "started", ""));
}

static void write_subtitle(FILE *stream, page_form form, const report_view *v)
{
    char text[SUBTITLE] = "";
    make_subtitle(v, text, sizeof text);
    page_escape(stream, form, text);
}

/* "3-5x faster in 70% less memory?", from the first claims that are at least so much; where there are none, the first
 * question. */
static void make_title(const report_view *v, char *text, size_t size)
{
    char speed[64] = "", memory[64] = "";
    const cJSON *claims = json_find(v->r->root, "claims");
    size_t position = 0;
    for (const cJSON *item = claims->child; item != NULL; item = item->next, position++) {
        claim about;
        if (claim_parse(item, "claims", position, &about) != CIUIC_OK) continue; /* judged already: cannot fail */
        if (isnan(about.min) || !isnan(about.max)) continue;
        if (about.metric->kind == METRIC_SPEED && speed[0] == '\0') {
            snprintf(speed, sizeof speed, "%.3g", about.min);
            if (!isnan(about.band_top)) plain_append(speed, sizeof speed, "-%.3g", about.band_top);
            plain_append(speed, sizeof speed, "x faster");
        }
        if (about.metric->kind == METRIC_MEMORY && memory[0] == '\0')
            snprintf(memory, sizeof memory, "%.3g%% less memory", 100.0 * about.min);
    }
    if (speed[0] != '\0' || memory[0] != '\0')
        snprintf(text, size, "%s%s%s? ", speed, speed[0] != '\0' && memory[0] != '\0' ? " in " : "", memory);
    else
        snprintf(text, size, "%.160s%s", view_text(claims->child, "question", ""), claims->child != NULL ? " " : "");
    plain_append(text, size, "What this machine says");
}

static void write_title(FILE *stream, page_form form, const report_view *v)
{
    char text[SUBTITLE] = "";
    make_title(v, text, sizeof text);
    page_escape(stream, form, text);
}

/* ---- template --------------------------------------------------------------------------------------------------- */

static void copy_stream(FILE *from, FILE *to)
{
    char piece[1 << 16];
    rewind(from);
    for (size_t n; (n = fread(piece, 1, sizeof piece, from)) > 0;) fwrite(piece, 1, n, to);
}

/* A file for what is written before it is known where, or whether, it goes. Not a stream in memory: that need not say when memory
 * runs out. */
static ciuic_status open_draft(FILE **draft)
{
    *draft = tmpfile();
    return *draft != NULL ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no temporary file: %s", strerror(errno));
}

static ciuic_status check_draft(FILE *draft)
{
    if (fflush(draft) == 0 && ferror(draft) == 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a temporary file could not be written; make room where those lie");
}

static void fill_template(FILE *stream, const report_view *v, const page *written, FILE *content)
{
    const embedded_file template = embedded_template();
    for (const char *c = template.text; *c != '\0';) {
        if (strncmp(c, "@TITLE@", 7) == 0) {
            write_title(stream, PAGE_HTML, v);
            c += 7;
        } else if (strncmp(c, "@SUBTITLE@", 10) == 0) {
            write_subtitle(stream, PAGE_HTML, v);
            c += 10;
        } else if (strncmp(c, "@STYLE@", 7) == 0) {
            copy_stream(written->style, stream);
            c += 7;
        } else if (strncmp(c, "@CONTENTS@", 10) == 0) {
            page_contents(stream, written);
            c += 10;
        } else if (strncmp(c, "@CONTENT@", 9) == 0) {
            copy_stream(content, stream);
            c += 9;
        } else {
            fputc(*c++, stream);
        }
    }
}

/* The sections first: the contents at the top of the page list those that there are, and the style is that of their tables. */
static ciuic_status write_template(FILE *stream, const report_view *v)
{
    FILE *content = NULL, *style = NULL;
    CIUIC_TRY(open_draft(&content));
    ciuic_status status = open_draft(&style);
    if (status == CIUIC_OK) {
        page p = page_begin(content, PAGE_HTML);
        p.style = style;
        status = write_sections(&p, v);
        if (status == CIUIC_OK) status = check_draft(content);
        if (status == CIUIC_OK) status = check_draft(style);
        if (status == CIUIC_OK) fill_template(stream, v, &p, content);
        fclose(style);
    }
    fclose(content);
    return status;
}

static ciuic_status write_comment(FILE *stream, const report_view *v, section_fn *const *list, size_t n)
{
    page p = page_begin(stream, PAGE_MARKDOWN);
    fputs("# ", stream);
    write_title(stream, PAGE_MARKDOWN, v);
    fputs("\n\n", stream);
    write_subtitle(stream, PAGE_MARKDOWN, v);
    fputs("\n\n", stream);
    if (list != sections)
        page_text(&p, "Shortened: of %zu cases all would be more than a comment holds. The rest is %s.",
                  v->r->case_count, p.rest);
    for (size_t i = 0; i < n; i++) list[i](&p, v);
    return page_end(&p);
}

/* The longest form that a comment has room for; the shortest, where none has. */
static ciuic_status write_markdown(FILE *stream, const report_view *v)
{
    static const struct {
        section_fn *const *list;
        size_t n;
    } forms[] = {{sections, COUNT(sections)}, {shorter, COUNT(shorter)}, {shortest, COUNT(shortest)}};
    for (size_t i = 0; i < COUNT(forms); i++) {
        FILE *draft = NULL;
        CIUIC_TRY(open_draft(&draft));
        ciuic_status status = write_comment(draft, v, forms[i].list, forms[i].n);
        if (status == CIUIC_OK) status = check_draft(draft);
        const bool chosen = status == CIUIC_OK && (ftell(draft) <= COMMENT_MAX || i + 1 == COUNT(forms));
        if (chosen) copy_stream(draft, stream);
        fclose(draft);
        if (chosen || status != CIUIC_OK) return status;
    }
    return CIUIC_OK;
}

static ciuic_status write_text(FILE *stream, const report_view *v)
{
    page p = page_begin(stream, PAGE_TEXT);
    char text[SUBTITLE] = "";
    make_title(v, text, sizeof text);
    page_text(&p, "%s", text);
    text[0] = '\0';
    make_subtitle(v, text, sizeof text);
    page_text(&p, "%s", text);
    return write_sections(&p, v);
}

/* These ask for no memory. */
static ciuic_status write_cases(FILE *stream, const report_view *v)
{
    csv_cases(stream, v);
    return CIUIC_OK;
}

static ciuic_status write_verdicts(FILE *stream, const report_view *v)
{
    csv_verdicts(stream, v);
    return CIUIC_OK;
}

typedef ciuic_status page_writer(FILE *stream, const report_view *v);

static ciuic_status write_page(const char *directory, const char *name, page_writer *writer, const report_view *v)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0) return ciuic_fail_memory("a path", strlen(directory));
    atomic_file file;
    ciuic_status status = atomic_file_open(path, &file);
    if (status == CIUIC_OK) {
        status = writer(file.stream, v);
        if (status == CIUIC_OK)
            status = atomic_file_commit(&file);
        else
            atomic_file_abort(&file);
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

/* The files that are asked for, each whole or not at all. */
static ciuic_status write_files(const report_request *q, const report_view *v)
{
    static const struct {
        report_format format;
        const char *name;
        page_writer *writer;
    } files[] = {{REPORT_MARKDOWN, "report.md", write_markdown},
                 {REPORT_CSV, "cases.csv", write_cases},
                 {REPORT_CSV, "verdicts.csv", write_verdicts},
                 {REPORT_HTML, "index.html", write_template}};
    for (size_t i = 0; i < COUNT(files); i++)
        if (q->format == REPORT_ALL || q->format == files[i].format)
            CIUIC_TRY(write_page(q->directory, files[i].name, files[i].writer, v));
    return CIUIC_OK;
}

static ciuic_status write_report(cJSON *root, content_state content, const report_request *q, const char **notice)
{
    result_set r;
    plot_set plots = {0};
    ciuic_status status = results_index(root, &r);
    const bool files = q->format != REPORT_TEXT, drawn = files && q->format != REPORT_CSV;
    if (status == CIUIC_OK && files) status = make_directory(q->directory);
    if (status == CIUIC_OK && drawn) status = plots_make(&r, q->directory, &plots);
    const report_view v = {
        .r = &r, .plots = &plots, .content = content, .claims_name = q->claims_name, .imported = q->imported};
    if (status == CIUIC_OK && files) status = write_files(q, &v);
    if (status == CIUIC_OK && !files) status = write_text(q->text, &v);
    plots_finish(&plots);
    if (status == CIUIC_OK && plots.problem[0] != '\0') {
        static char said[sizeof plots.problem + 80];
        snprintf(said, sizeof said, "some plots are missing: %s; the tables hold the same numbers", plots.problem);
        *notice = said;
    }
    plots_free(&plots);
    results_free(&r);
    return status;
}

/* Other claims take the place of those that the results were made with. */
static ciuic_status choose_claims(cJSON *root, const report_request *q)
{
    if (q->claims == NULL) return CIUIC_OK;
    cJSON *copy = cJSON_Duplicate(q->claims, true);
    return set_member(root, "claims", copy) ? CIUIC_OK : ciuic_fail_memory("the claims", sizeof *copy);
}

ciuic_status report_write(cJSON *root, const char *name, const report_request *request, const char **notice)
{
    content_state content = CONTENT_UNKNOWN;
    *notice = NULL;
    CIUIC_TRY(results_check(root, name, &content));
    CIUIC_TRY(choose_claims(root, request));
    CIUIC_TRY(results_judge(root, name));
    CIUIC_TRY(write_report(root, content, request, notice));
    if (content == CONTENT_EDITED)
        *notice = "these results were edited after they were written: the digest in them is that of other content";
    if (content == CONTENT_UNKNOWN) *notice = "these results " CONTENT_UNKNOWN_WORDS;
    return CIUIC_OK;
}
