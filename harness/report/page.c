/* page.c - see page.h. */
#include "harness/report/page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- escaping --------------------------------------------------------------------------------------------------- */

static void escape_html(FILE *stream, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
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
    else
        escape_markdown(stream, text);
}

/* A formatted text, escaped. What does not fit the buffer is formatted again into one that does. */
static void put_formatted(const page *p, const char *format, va_list arguments)
{
    char text[1024], *longer = NULL;
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    if (length >= (int)sizeof text) longer = malloc((size_t)length + 1);
    if (longer != NULL) vsnprintf(longer, (size_t)length + 1, format, again);
    va_end(again);
    page_escape(p->stream, p->form, longer != NULL ? longer : text);
    free(longer);
}

/* Writes what is not text: the one for HTML or the one for Markdown. */
static void mark(const page *p, const char *html, const char *markdown)
{
    fputs(p->form == PAGE_HTML ? html : markdown, p->stream);
}

#define PUT(p, before_html, before_markdown, after_html, after_markdown)                                               \
    do {                                                                                                               \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        mark((p), (before_html), (before_markdown));                                                                   \
        put_formatted((p), format, arguments);                                                                         \
        mark((p), (after_html), (after_markdown));                                                                     \
        va_end(arguments);                                                                                             \
    } while (0)

/* ---- text ------------------------------------------------------------------------------------------------------- */

page page_begin(FILE *stream, page_form form)
{
    return (page){.stream = stream, .form = form};
}

void page_end(page *p)
{
    if (p->in_section) mark(p, "</section>\n", "");
    p->in_section = false;
}

void page_section(page *p, const char *id, const char *title)
{
    page_end(p);
    p->in_section = true;
    if (p->form == PAGE_HTML)
        fprintf(p->stream, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">", id, id, id);
    else
        fputs("\n## ", p->stream);
    page_escape(p->stream, p->form, title);
    mark(p, "</h2>\n", "\n\n");
}

void page_heading(page *p, const char *format, ...)
{
    PUT(p, "<h3>", "\n### ", "</h3>\n", "\n\n");
}

void page_text(page *p, const char *format, ...)
{
    PUT(p, "<p>", "", "</p>\n", "\n\n");
}

void page_lead(page *p, const char *format, ...)
{
    PUT(p, "<p class=\"lead\">", "**", "</p>\n", "**\n\n");
}

void page_alert(page *p, const char *format, ...)
{
    PUT(p, "<p class=\"alert\" role=\"note\">", "> **Note:** ", "</p>\n", "\n\n");
}

void page_item(page *p, const char *format, ...)
{
    PUT(p, "<li>", "- ", "</li>\n", "\n");
}

void page_list_begin(page *p)
{
    mark(p, "<ul>\n", "");
}

void page_list_end(page *p)
{
    mark(p, "</ul>\n", "\n");
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
        for (const char *c = text; *c != '\0'; c++) fputc((unsigned char)*c < 0x20 ? ' ' : *c, p->stream);
        fputs("\n\n", p->stream);
    }
}

void page_fold_begin(page *p, const char *title)
{
    mark(p, "<details>\n<summary>", "");
    if (p->form == PAGE_HTML) escape_html(p->stream, title);
    mark(p, "</summary>\n", "");
}

void page_fold_end(page *p)
{
    mark(p, "</details>\n", "");
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

void page_table_begin(page *p, const char *caption, const page_column *columns, size_t n, bool compact)
{
    p->titles = columns;
    p->columns = n;
    p->column = 0;
    if (p->form == PAGE_HTML) {
        /* Wide tables scroll in a box of their own, which the keyboard must reach. */
        fputs(compact ? "<div class=\"scroll\">\n<table class=\"compact\">\n<caption>"
                      : "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<caption>",
              p->stream);
        escape_html(p->stream, caption);
        fputs("</caption>\n<thead><tr>", p->stream);
        for (size_t i = 0; i < n; i++) {
            fprintf(p->stream, "<th scope=\"col\"%s>", columns[i].number ? " class=\"number\"" : "");
            escape_html(p->stream, columns[i].title);
            fputs("</th>", p->stream);
        }
        fputs("</tr></thead>\n<tbody>\n", p->stream);
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

static void cell_begin(const page *p, page_tone tone)
{
    if (p->form == PAGE_MARKDOWN) {
        fprintf(p->stream, "%s %s", p->column == 0 ? "|" : "", tone_mark(tone));
        return;
    }
    const bool number = p->titles[p->column].number;
    if (p->column == 0)
        fprintf(p->stream, "<tr><th scope=\"row\" class=\"%s\">", tone_class(tone));
    else
        fprintf(p->stream, "<td class=\"%s%s\">", tone_class(tone), number ? " number" : "");
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
    va_start(arguments, format);
    cell_begin(p, tone);
    put_formatted(p, format, arguments);
    cell_end(p);
    va_end(arguments);
}

void page_cell_detail(page *p, page_tone tone, const char *figure, const char *detail)
{
    cell_begin(p, tone);
    page_escape(p->stream, p->form, figure);
    mark(p, " <small>", " (");
    page_escape(p->stream, p->form, detail);
    mark(p, "</small>", ")");
    cell_end(p);
}

void page_table_end(page *p)
{
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
    fputs("![", p->stream);
    escape_markdown(p->stream, caption);
    fprintf(p->stream, "](%s)\n\n", file);
}
