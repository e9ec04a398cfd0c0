/* page_text.c - see page_text.h. Widths are counted in code points: no wide characters are expected in names, and where there are
 * any a column is a little ragged. */
#include "harness/report/page_text.h"

#include <stdlib.h>
#include <string.h>

#include "harness/plain_text.h"
#include "optimizer/array_room.h"

enum { GAP = 2, LONGEST_WORD = 36, COLUMNS_MAX = 24 };

struct text_table {
    size_t columns, count, room;
    bool numbers[COLUMNS_MAX];
    char **cells; /* the titles are the first row */
};

/* ---- words ------------------------------------------------------------------------------------------------------ */

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80u;
}

/* Code points in the first n bytes. */
static size_t width_of(const char *text, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++) width += !continues(text[i]);
    return width;
}

/* Bytes of the next line of `text` that is at most `width` wide: cut at the last blank that is not too late, else in a word;
 * *next is where the line after it begins. */
static size_t line_of(const char *text, size_t width, const char **next)
{
    size_t n = 0, used = 0, blank = 0;
    while (text[n] != '\0' && (used < width || continues(text[n]))) {
        if (text[n] == ' ') blank = n;
        used += !continues(text[n]);
        n++;
    }
    if (text[n] == '\0' || text[n] == ' ')
        blank = n;
    else if (blank == 0)
        blank = n;
    *next = text + blank;
    while (**next == ' ') (*next)++;
    return blank;
}

bool text_paragraph(FILE *stream, const char *begin, size_t indent, const char *text)
{
    char *plain = strdup(text);
    if (plain == NULL) return false;
    plain_text(plain);
    const char *c = plain;
    for (bool first = true; first || *c != '\0'; first = false) {
        const char *next = c;
        const size_t n = line_of(c, PAGE_TEXT_WIDTH - indent, &next);
        fprintf(stream, "%-*s%.*s\n", (int)indent, first ? begin : "", (int)n, c);
        c = next;
    }
    free(plain);
    return true;
}

bool text_title(FILE *stream, const char *title, char under)
{
    char *plain = strdup(title);
    if (plain == NULL) return false;
    plain_text(plain);
    fprintf(stream, "\n%s\n", plain);
    for (size_t i = width_of(plain, strlen(plain)); i > 0; i--) fputc(under, stream);
    fputs("\n\n", stream);
    free(plain);
    return true;
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static bool take_cell(text_table *t, char *cell)
{
    char **grown = array_with_room(t->cells, t->count, &t->room, sizeof *grown);
    if (grown == NULL) {
        free(cell);
        return false;
    }
    t->cells = grown;
    plain_text(cell);
    t->cells[t->count++] = cell;
    return true;
}

text_table *text_table_begin(const char *const *titles, const bool *numbers, size_t columns)
{
    text_table *t = columns <= COLUMNS_MAX ? calloc(1, sizeof *t) : NULL;
    if (t == NULL) return NULL;
    t->columns = columns;
    for (size_t i = 0; i < columns; i++) {
        t->numbers[i] = numbers[i];
        if (text_table_add(t, "", titles[i])) continue;
        text_table_free(t);
        return NULL;
    }
    return t;
}

bool text_table_add(text_table *t, const char *mark, const char *text)
{
    char *cell = NULL;
    return t != NULL && asprintf(&cell, "%s%s", mark, text) >= 0 && take_cell(t, cell);
}

void text_table_free(text_table *t)
{
    for (size_t i = 0; t != NULL && i < t->count; i++) free(t->cells[i]);
    if (t != NULL) free(t->cells);
    free(t);
}

static size_t longest_word(const char *text)
{
    size_t longest = 0;
    while (*text != '\0') {
        const size_t n = strcspn(text, " "), width = width_of(text, n);
        if (width > longest) longest = width;
        text += n;
        while (*text == ' ') text++;
    }
    return longest < LONGEST_WORD ? longest : LONGEST_WORD;
}

static void measure(const text_table *t, size_t *least, size_t *natural)
{
    for (size_t i = 0; i < t->count; i++) {
        const size_t column = i % t->columns, word = longest_word(t->cells[i]);
        const size_t whole = width_of(t->cells[i], strlen(t->cells[i]));
        if (word > least[column]) least[column] = word;
        if (whole > natural[column]) natural[column] = whole;
    }
}

/* Gives what is left of the width to the columns that lack most of theirs. */
static void widen(const size_t *shown, size_t n, const size_t *natural, size_t *width)
{
    size_t used = GAP * (n - 1);
    for (size_t i = 0; i < n; i++) used += width[shown[i]];
    for (; used < PAGE_TEXT_WIDTH; used++) {
        size_t most = 0, lacking = 0;
        for (size_t i = 0; i < n; i++) {
            const size_t c = shown[i], lacks = natural[c] > width[c] ? natural[c] - width[c] : 0;
            if (lacks > lacking) most = c;
            if (lacks > lacking) lacking = lacks;
        }
        if (lacking == 0) return;
        width[most]++;
    }
}

/* A blank that holds two words together is an ordinary one when it is printed. */
static void put_line(FILE *stream, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const bool held = text[i] == '\xc2' && i + 1 < bytes && text[i + 1] == '\xa0';
        fputc(held ? ' ' : text[i], stream);
        i += held;
    }
}

/* One row, over as many lines as its tallest cell has. */
static void print_row(FILE *stream, const text_table *t, size_t row, const size_t *shown, size_t n, const size_t *width)
{
    const char *rest[COLUMNS_MAX];
    bool more = true;
    for (size_t i = 0; i < n; i++) rest[i] = t->cells[row * t->columns + shown[i]];
    while (more) {
        size_t behind = 0; /* blanks that are only printed when something follows */
        more = false;
        for (size_t i = 0; i < n; i++) {
            const char *next = rest[i];
            const size_t bytes = line_of(rest[i], width[shown[i]], &next);
            const size_t pad = width[shown[i]] - width_of(rest[i], bytes);
            const size_t before = behind + (t->numbers[shown[i]] ? pad : 0);
            if (bytes > 0) fprintf(stream, "%*s", (int)before, "");
            put_line(stream, rest[i], bytes);
            behind = (bytes > 0 ? 0 : before) + (t->numbers[shown[i]] ? 0 : pad) + GAP;
            rest[i] = next;
            more = more || *next != '\0';
        }
        fputc('\n', stream);
    }
}

static void print_part(FILE *stream, const text_table *t, const size_t *shown, size_t n, size_t *width)
{
    size_t whole = GAP * (n - 1);
    for (size_t i = 0; i < n; i++) whole += width[shown[i]];
    print_row(stream, t, 0, shown, n, width);
    for (size_t i = 0; i < whole; i++) fputc('-', stream);
    fputc('\n', stream);
    for (size_t row = 1; row < t->count / t->columns; row++) print_row(stream, t, row, shown, n, width);
    fputc('\n', stream);
}

void text_table_print(FILE *stream, text_table *t)
{
    size_t least[COLUMNS_MAX] = {0}, natural[COLUMNS_MAX] = {0}, width[COLUMNS_MAX];
    if (t == NULL || t->columns == 0 || t->count < t->columns) return;
    measure(t, least, natural);
    for (size_t next = 1; next == 1 || next < t->columns;) {
        size_t shown[COLUMNS_MAX] = {0}, n = 1, used = least[0];
        memcpy(width, least, sizeof width);
        for (; next < t->columns && (n == 1 || used + GAP + least[next] <= PAGE_TEXT_WIDTH); next++) {
            used += GAP + least[next];
            shown[n++] = next;
        }
        widen(shown, n, natural, width);
        print_part(stream, t, shown, n, width);
        if (t->columns == 1) return;
    }
}
