/* page.h - one report, three forms: HTML, Markdown, and text for a terminal. What is written comes from files, so everything is escaped
 * here and nowhere else: callers say what a text is, never how it looks. */
#ifndef CIUIC_PAGE_H
#define CIUIC_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "optimizer/error.h"

typedef enum page_form { PAGE_HTML, PAGE_MARKDOWN, PAGE_TEXT } page_form;

/* How a piece of text is to be taken; it decides colour and mark, never escaping. */
typedef enum page_tone {
    TONE_PLAIN,
    TONE_YES,     /* supported */
    TONE_NO,      /* refuted */
    TONE_UNKNOWN, /* inconclusive */
    TONE_PARTLY,  /* in some cases supported, in others refuted */
    TONE_CODE,    /* a name to be typed */
    TONE_QUIET,
} page_tone;

typedef struct page_column {
    const char *title;
    bool number; /* right-aligned, not wrapped */
} page_column;

enum { PAGE_SECTIONS = 40, PAGE_TABLES = 64 };

typedef struct page {
    FILE *stream;
    page_form form;
    FILE *hidden;             /* the stream, while what is written goes nowhere: a fold of Markdown or text */
    struct text_table *cells; /* PAGE_TEXT: the open table */
    const char *section_ids[PAGE_SECTIONS], *section_titles[PAGE_SECTIONS]; /* so far */
    size_t sections;
    size_t columns, column; /* of the open table */
    const page_column *titles;
    FILE *
        style; /* PAGE_HTML: where the style of the tables goes, for the head of the page; NULL: they have none. May be set
                    after page_begin, and stays the caller's */
    uint64_t tables[PAGE_TABLES]; /* of which columns (column_style_key); what is in it has a style */
    size_t table_kinds, styled;   /* styled: the number of the open table's kind; 0: it has no style */
    const char
        *rest; /* where the folds are that a form leaves out; may be set after page_begin, and stays the caller's */
    bool in_section;
    bool failed; /* memory ran out: what is written lacks something */
} page;

page page_begin(FILE *stream, page_form form);
/* Closes the open section. An error where anything above is missing from the page, since memory ran out; whether the stream took it
 * all is for who closes it. */
ciuic_status page_end(page *p);

/* `id` and `title` are the program's own and stay as long as the page; ids: letters and hyphens. Titles of level 2; page_heading is level 3. */
void page_section(page *p, const char *id, const char *title);
void page_heading(page *p, const char *format, ...) CIUIC_PRINTF(2, 3);
void page_text(page *p, const char *format, ...) CIUIC_PRINTF(2, 3);  /* a paragraph */
void page_lead(page *p, const char *format, ...) CIUIC_PRINTF(2, 3);  /* one that should not be missed */
void page_alert(page *p, const char *format, ...) CIUIC_PRINTF(2, 3); /* something is wrong */
void page_item(page *p, const char *format, ...) CIUIC_PRINTF(2, 3);  /* of a list; between list_begin and list_end */
void page_list_begin(page *p);
void page_list_end(page *p);
void page_code(page *p, const char *text); /* to be copied and run */

/* Cards stand side by side where there is room. `answer` is the word that everybody looks for. */
void page_cards_begin(page *p);
void page_card_begin(page *p, const char *question, const char *answer, page_tone tone);
void page_card_end(page *p);
void page_cards_end(page *p);

/* A table of n columns; a cell at a time, rows close by themselves. The first cell of a row names it. A compact one
 * is for a card. `columns` must stay until page_table_end. */
void page_table_begin(page *p, const char *caption, const page_column *columns, size_t n, bool compact);
void page_cell(page *p, page_tone tone, const char *format, ...) CIUIC_PRINTF(3, 4);
/* A cell of a figure and, smaller, what belongs to it: its interval. */
void page_cell_detail(page *p, page_tone tone, const char *figure, const char *detail);
void page_table_end(page *p);

/* An SVG made by plots.c: inline in HTML, a link to `file` in Markdown, nothing in text. */
void page_figure(page *p, const char *svg, const char *file, const char *caption);

/* Escaped text alone; for the template. */
void page_escape(FILE *stream, page_form form, const char *text);

/* The sections so far as links, for the top of an HTML page. */
void page_contents(FILE *stream, const page *p);

/* Details that would drown the rest: folded in HTML, and left out of Markdown and text, which say so and name the page. */
void page_fold_begin(page *p, const char *title);
void page_fold_end(page *p);

#endif
