/* page.c - see page.h. */
#include "harness/report/page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plain_text.h"
#include "harness/report/column_style.h"
#include "harness/report/page_text.h"

/* ---- escaping --------------------------------------------------------------------------------------------------- */

/* Writes '?' for a mark of direction; *c then stands on its last byte. */
static bool put_direction_mark(FILE *stream, const char **c)
{
    const size_t n = direction_mark(*c);
    if (n == 0) return false;
    fputc('?', stream);
    *c += n - 1;
    return true;
}

static void escape_html(FILE *stream, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (put_direction_mark(stream, &c)) continue;
        switch (*c) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        case '\'':
            fputs("&#39;", stream);
            break;
        default:
            fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, stream);
        }
    }
}

/* CommonMark lets any ASCII punctuation be escaped; HTML must be kept out as well. */
static void escape_markdown(FILE *stream, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (put_direction_mark(stream, &c)) continue;
        if (*c == '<')
            fputs("&lt;", stream);
        else if (*c == '&')
            fputs("&amp;", stream);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fputc(' ', stream);
        else {
            if (strchr("\\`*_{}[]()#!|>~$", *c) != NULL) fputc('\\', stream);
            fputc(*c, stream);
        }
    }
}

void page_escape(FILE *stream, page_form form, const char *text)
{
    if (form == PAGE_HTML)
        escape_html(stream, text);
    else if (form == PAGE_MARKDOWN)
        escape_markdown(stream, text);
    else
        plain_write(stream, text);
}

/* Writes what is not text: the one for HTML or the one for Markdown; nothing for a terminal. */
static void mark(const page *p, const char *html, const char *markdown)
{
    if (p->form != PAGE_TEXT) fputs(p->form == PAGE_HTML ? html : markdown, p->stream);
}

static void note(page *p, bool written)
{
    if (!written) p->failed = true;
}

/* What stands before and after a text in each form; in text, how its first line begins, and what is done with it. */
typedef struct wrapping {
    const char *html, *markdown, *html_end, *markdown_end;
    const char *begin; /* NULL: it is a title with a line of '-' under it */
    bool close;        /* text: an empty line follows */
} wrapping;

static void put(page *p, const wrapping *w, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        p->failed = true;
        return;
    }
    mark(p, w->html, w->markdown);
    if (p->form != PAGE_TEXT)
        page_escape(p->stream, p->form, text);
    else if (w->begin == NULL)
        note(p, text_title(p->stream, text, '-'));
    else
        note(p, text_paragraph(p->stream, w->begin, strlen(w->begin), text));
    if (p->form == PAGE_TEXT && w->close) fputc('\n', p->stream);
    mark(p, w->html_end, w->markdown_end);
    free(text);
}

#define PUT(p, ...)                                                                                                    \
    do {                                                                                                               \
        const wrapping w = {__VA_ARGS__};                                                                              \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        put((p), &w, format, arguments);                                                                               \
        va_end(arguments);                                                                                             \
    } while (0)

/* ---- text ------------------------------------------------------------------------------------------------------- */

page page_begin(FILE *stream, page_form form)
{
    return (page){.stream = stream, .form = form, .rest = "on the page: 'ciuic report RESULTS -o DIR', DIR/index.html"};
}

static void close_section(page *p)
{
    if (p->in_section) mark(p, "</section>\n", "");
    p->in_section = false;
}

ciuic_status page_end(page *p)
{
    close_section(p);
    if (!p->failed) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a page: memory ran out while it was written; close other programs");
}

void page_section(page *p, const char *id, const char *title)
{
    close_section(p);
    p->in_section = true;
    if (p->sections < PAGE_SECTIONS) {
        p->section_ids[p->sections] = id;
        p->section_titles[p->sections++] = title;
    }
    if (p->form == PAGE_TEXT) {
        note(p, text_title(p->stream, title, '='));
        return;
    }
    if (p->form == PAGE_HTML)
        fprintf(p->stream, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">", id, id, id);
    else
        fputs("\n## ", p->stream);
    page_escape(p->stream, p->form, title);
    mark(p, "</h2>\n", "\n\n");
}

void page_heading(page *p, const char *format, ...)
{
    PUT(p, "<h3>", "\n### ", "</h3>\n", "\n\n", NULL, false);
}

void page_text(page *p, const char *format, ...)
{
    PUT(p, "<p>", "", "</p>\n", "\n\n", "", true);
}

void page_lead(page *p, const char *format, ...)
{
    PUT(p, "<p class=\"lead\">", "**", "</p>\n", "**\n\n", "", true);
}

void page_alert(page *p, const char *format, ...)
{
    PUT(p, "<p class=\"alert\" role=\"note\">", "> **Note:** ", "</p>\n", "\n\n", "! ", true);
}

void page_item(page *p, const char *format, ...)
{
    PUT(p, "<li>", "- ", "</li>\n", "\n", "- ", false);
}

void page_list_begin(page *p)
{
    mark(p, "<ul>\n", "");
}

void page_list_end(page *p)
{
    mark(p, "</ul>\n", "\n");
    if (p->form == PAGE_TEXT) fputc('\n', p->stream);
}

void page_code(page *p, const char *text)
{
    if (p->form == PAGE_HTML) {
        fputs("<pre><code>", p->stream);
        escape_html(p->stream, text);
        fputs("</code></pre>\n", p->stream);
    } else {
        /* An indented block has no closing mark that the text could forge; it has one line. */
        fputs("    ", p->stream);
        if (p->form == PAGE_TEXT) plain_write(p->stream, text);
        for (const char *c = p->form == PAGE_TEXT ? "" : text; *c != '\0'; c++)
            if (!put_direction_mark(p->stream, &c)) fputc((unsigned char)*c < 0x20 ? ' ' : *c, p->stream);
        fputs("\n\n", p->stream);
    }
}

/* The sections that are there, by name: what a reader can jump to. */
void page_contents(FILE *stream, const page *p)
{
    fputs("<nav aria-label=\"Contents\">\n<ul>\n", stream);
    for (size_t i = 0; i < p->sections; i++) {
        fprintf(stream, "<li><a href=\"#%s\">", p->section_ids[i]);
        escape_html(stream, p->section_titles[i]);
        fputs("</a></li>\n", stream);
    }
    fputs("</ul>\n</nav>\n", stream);
}

void page_fold_begin(page *p, const char *title)
{
    if (p->form == PAGE_HTML) {
        fputs("<details>\n<summary>", p->stream);
        escape_html(p->stream, title);
        fputs("</summary>\n", p->stream);
        return;
    }
    page_text(p, "%s: %s.", title, p->rest);
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL) return; /* then it is shown */
    p->hidden = p->stream;
    p->stream = nowhere;
}

void page_fold_end(page *p)
{
    mark(p, "</details>\n", "");
    if (p->hidden == NULL) return;
    fclose(p->stream);
    p->stream = p->hidden;
    p->hidden = NULL;
}

/* ---- cards ------------------------------------------------------------------------------------------------------ */

static const char *tone_class(page_tone tone)
{
    static const char *const classes[] = {"plain", "yes", "no", "unknown", "partly", "code", "quiet"};
    return classes[tone];
}

/* Colour is never the only sign. */
static const char *tone_mark(page_tone tone)
{
    static const char *const marks[] = {"", "\xe2\x9c\x93 ", "\xe2\x9c\x97 ", "? ", "\xe2\x97\x90 ", "", ""};
    return marks[tone];
}

void page_cards_begin(page *p)
{
    mark(p, "<div class=\"cards\">\n", "");
}

void page_card_begin(page *p, const char *question, const char *answer, page_tone tone)
{
    if (p->form == PAGE_TEXT) {
        fputs("\n", p->stream);
        plain_write(p->stream, question);
        fprintf(p->stream, "  %s", tone_mark(tone));
        plain_write(p->stream, answer);
        fputs("\n\n", p->stream);
        return;
    }
    if (p->form == PAGE_HTML)
        fprintf(p->stream, "<article class=\"card %s\">\n<h3>", tone_class(tone));
    else
        fputs("\n### ", p->stream);
    page_escape(p->stream, p->form, question);
    mark(p, "</h3>\n<p class=\"answer\"><span aria-hidden=\"true\">", " **");
    fputs(tone_mark(tone), p->stream);
    mark(p, "</span>", "");
    page_escape(p->stream, p->form, answer);
    mark(p, "</p>\n", "**\n\n");
}

void page_card_end(page *p)
{
    mark(p, "</article>\n", "");
}

void page_cards_end(page *p)
{
    mark(p, "</div>\n", "");
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static void begin_text_table(page *p, const char *caption, const page_column *columns, size_t n)
{
    enum { MOST = 24 };
    const char *titles[MOST];
    bool numbers[MOST];
    for (size_t i = 0; i < n && i < MOST; i++) {
        titles[i] = columns[i].title;
        numbers[i] = columns[i].number;
    }
    note(p, text_paragraph(p->stream, "", 0, caption));
    fputc('\n', p->stream);
    p->cells = text_table_begin(titles, numbers, n);
    note(p, p->cells != NULL);
}

static void style_table(page *p, const page_column *columns, size_t n, bool compact)
{
    const uint64_t key = column_style_key(columns, n, compact);
    size_t kind = 0;
    while (kind < p->table_kinds && p->tables[kind] != key) kind++;
    p->styled = 0;
    if (p->style == NULL || kind == PAGE_TABLES) return;
    p->styled = kind + 1;
    if (kind < p->table_kinds) return;
    p->tables[p->table_kinds++] = key;
    column_style_write(p->style, p->styled, columns, n, compact);
}

void page_table_begin(page *p, const char *caption, const page_column *columns, size_t n, bool compact)
{
    p->titles = columns;
    p->columns = n;
    p->column = 0;
    if (p->form == PAGE_TEXT) {
        begin_text_table(p, caption, columns, n);
        return;
    }
    if (p->form == PAGE_HTML) {
        /* Wide tables scroll in a box of their own, which the keyboard must reach. On a phone their rows are cards, and what is
         * no table by its looks must say that it is one. */
        style_table(p, columns, n, compact);
        fprintf(p->stream, "<div class=\"scroll\"%s>\n<table role=\"table\" class=\"%s",
                compact ? "" : " tabindex=\"0\"", compact ? "compact" : "wide");
        if (p->styled > 0) fprintf(p->stream, " t%zu", p->styled);
        fputs("\">\n<caption>", p->stream);
        escape_html(p->stream, caption);
        fputs("</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">", p->stream);
        for (size_t i = 0; i < n; i++) {
            fprintf(p->stream, "<th scope=\"col\" role=\"columnheader\"%s>",
                    columns[i].number && p->styled == 0 ? " class=\"number\"" : "");
            escape_html(p->stream, columns[i].title);
            fputs("</th>", p->stream);
        }
        fputs("</tr></thead>\n<tbody role=\"rowgroup\">\n", p->stream);
        return;
    }
    escape_markdown(p->stream, caption);
    fputs("\n\n|", p->stream);
    for (size_t i = 0; i < n; i++) {
        fputc(' ', p->stream);
        escape_markdown(p->stream, columns[i].title);
        fputs(" |", p->stream);
    }
    fputs("\n|", p->stream);
    for (size_t i = 0; i < n; i++) fputs(columns[i].number ? " ---: |" : " --- |", p->stream);
    fputc('\n', p->stream);
}

/* A name may be broken behind its joints, where a phone has no room for all of it. */
static void put_name(const page *p, const char *text)
{
    for (const char *c = text; *c != '\0';) {
        char part[256];
        size_t n = strcspn(c, "+/");
        n += c[n] != '\0';
        if (n >= sizeof part) n = sizeof part - 1;
        memcpy(part, c, n);
        part[n] = '\0';
        escape_html(p->stream, part);
        c += n;
        if (*c != '\0') fputs("<wbr>", p->stream);
    }
}

static void cell_begin(const page *p, page_tone tone)
{
    if (p->form == PAGE_MARKDOWN) {
        fprintf(p->stream, "%s %s", p->column == 0 ? "|" : "", tone_mark(tone));
        return;
    }
    /* Most cells are plain: what says nothing is left out, since a page has thousands of them. */
    const bool number = p->titles[p->column].number && p->column > 0 && p->styled == 0, plain = tone == TONE_PLAIN;
    fputs(p->column == 0 ? "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"" : "<td role=\"cell\"", p->stream);
    if (number || !plain)
        fprintf(p->stream, " class=\"%s%s%s\"", plain ? "" : tone_class(tone), plain || !number ? "" : " ",
                number ? "number" : "");
    fputc('>', p->stream);
    if (tone_mark(tone)[0] != '\0') fprintf(p->stream, "<span aria-hidden=\"true\">%s</span>", tone_mark(tone));
}

static void cell_end(page *p)
{
    mark(p, p->column == 0 ? "</th>" : "</td>", " |");
    if (++p->column < p->columns) return;
    mark(p, "</tr>\n", "\n");
    p->column = 0;
}

void page_cell(page *p, page_tone tone, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    note(p, text != NULL);
    if (p->form == PAGE_TEXT) {
        note(p, text_table_add(p->cells, tone_mark(tone), text != NULL ? text : ""));
    } else {
        cell_begin(p, tone);
        if (p->form == PAGE_HTML && tone == TONE_CODE && text != NULL)
            put_name(p, text);
        else
            page_escape(p->stream, p->form, text != NULL ? text : "");
        cell_end(p);
    }
    free(text);
}

void page_cell_detail(page *p, page_tone tone, const char *figure, const char *detail)
{
    if (p->form == PAGE_TEXT) {
        char held[256] = "";
        size_t used = 0;
        for (const char *c = detail; *c != '\0' && used + 3 < sizeof held; c++) {
            if (*c == ' ') held[used++] = '\xc2'; /* a no-break space: an interval is read in one piece */
            held[used++] = *c == ' ' ? '\xa0' : *c;
        }
        held[used] = '\0';
        page_cell(p, tone, "%s (%s)", figure, held);
        return;
    }
    cell_begin(p, tone);
    page_escape(p->stream, p->form, figure);
    mark(p, " <small>", " (");
    page_escape(p->stream, p->form, detail);
    mark(p, "</small>", ")");
    cell_end(p);
}

void page_table_end(page *p)
{
    if (p->form == PAGE_TEXT) {
        text_table_print(p->stream, p->cells);
        text_table_free(p->cells);
        p->cells = NULL;
    }
    mark(p, "</tbody>\n</table>\n</div>\n", "\n");
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

void page_figure(page *p, const char *svg, const char *file, const char *caption)
{
    if (p->form == PAGE_HTML) {
        fputs("<figure>\n<div class=\"scroll\" tabindex=\"0\">\n", p->stream);
        fputs(svg, p->stream);
        fputs("\n</div>\n<figcaption>", p->stream);
        escape_html(p->stream, caption);
        fputs("</figcaption>\n</figure>\n", p->stream);
        return;
    }
    if (p->form == PAGE_TEXT) return;
    fputs("![", p->stream);
    escape_markdown(p->stream, caption);
    fprintf(p->stream, "](%s)\n\n", file);
}
