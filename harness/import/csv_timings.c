/* csv_timings.c - name,tokens,seconds: a header of these words, then one line for each repetition. A name may stand in double
 * quotes, with "" for a quote in it (RFC 4180), on one line. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/import/formats.h"
#include "optimizer/error.h"
#include "optimizer/json_syntax.h"

enum { FIELDS = 3, FIELD = IMPORTED_NAME };

/* One line, cut into fields. */
typedef struct csv_row {
    char fields[FIELDS][FIELD];
    size_t count;
} csv_row;

/* Where a reader is in the text. */
typedef struct csv_reader {
    const char *at, *end;
    size_t line; /* from 1 */
    char where[320];
} csv_reader;

static ciuic_status read_field(csv_reader *r, csv_row *row)
{
    char *field = row->fields[row->count];
    size_t length = 0;
    const bool quoted = r->at < r->end && *r->at == '"';
    if (quoted) r->at++;
    for (; r->at < r->end && *r->at != '\n'; r->at++) {
        if (quoted && *r->at == '"') {
            if (r->at + 1 == r->end || r->at[1] != '"') break;
            r->at++;
        }
        if (!quoted && (*r->at == ',' || *r->at == '\r')) break;
        if (length + 1 == FIELD)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a field of more than %d bytes", r->where, FIELD - 1);
        field[length++] = *r->at;
    }
    field[length] = '\0';
    if (quoted && (r->at == r->end || *r->at++ != '"'))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a quote is not closed; expected it on the same line", r->where);
    row->count++;
    return CIUIC_OK;
}

/* An empty line has no fields. */
static ciuic_status read_row(csv_reader *r, csv_row *row)
{
    row->count = 0;
    while (r->at < r->end && *r->at != '\n' && *r->at != '\r') {
        if (row->count == FIELDS)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: more than %d fields; expected name,tokens,seconds", r->where,
                              FIELDS);
        CIUIC_TRY(read_field(r, row));
        if (r->at == r->end || *r->at != ',') break;
        r->at++;
        if (r->at == r->end || *r->at == '\n' || *r->at == '\r')
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: ends in a comma; expected name,tokens,seconds", r->where);
    }
    if (r->at < r->end && *r->at == '\r') r->at++;
    if (r->at < r->end && *r->at++ != '\n')
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: text after a field; expected a comma or the end of the line",
                          r->where);
    return CIUIC_OK;
}

/* strtod would take hexadecimal, infinities and the locale's point: what a spreadsheet writes is digits. */
static bool parse_number(const char *text, double *out)
{
    char *end = NULL;
    if (text[0] == '\0' || strspn(text, "0123456789.eE+-") != strlen(text)) return false;
    errno = 0;
    *out = strtod(text, &end);
    return *end == '\0' && errno == 0 && isfinite(*out);
}

static ciuic_status add_row(const csv_reader *r, csv_row *row, imported_set *set)
{
    double tokens = 0.0, seconds = 0.0;
    if (row->count != FIELDS)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %zu fields; expected name,tokens,seconds", r->where, row->count);
    if (row->fields[0][0] == '\0') return ciuic_fail(CIUIC_ERROR_INPUT, "%s: the name is empty", r->where);
    if (!parse_number(row->fields[1], &tokens) || tokens < 1.0 || tokens > 1e12 || floor(tokens) != tokens)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tokens \"%.40s\"; expected a whole number from 1", r->where,
                          row->fields[1]);
    if (!parse_number(row->fields[2], &seconds))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: seconds \"%.40s\"; expected a number", r->where, row->fields[2]);
    const imported_timing like = {.name = row->fields[0], .tokens = (size_t)tokens, .tokens_per_s = NAN};
    return imported_add(set, r->where, &like, seconds);
}

static ciuic_status check_text(const char *text, size_t length, const char *path)
{
    size_t line = 1;
    for (size_t i = 0; i < length;) {
        const size_t bytes = text[i] != '\0' ? json_utf8_length(text + i, length - i) : 0;
        if (bytes == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s:%zu: a byte that is no UTF-8 text; expected CSV or JSON", path,
                              line);
        line += text[i] == '\n' ? 1 : 0;
        i += bytes;
    }
    return CIUIC_OK;
}

ciuic_status read_csv_timings(const char *text, size_t length, imported_set *set)
{
    static const char mark[] = "\xef\xbb\xbf";
    csv_row row;
    csv_reader r = {.at = text, .end = text + length, .line = 1};
    set->format = "CSV";
    CIUIC_TRY(check_text(text, length, set->path));
    if (length >= 3 && memcmp(text, mark, 3) == 0) r.at += 3;
    for (; r.at < r.end; r.line++) {
        snprintf(r.where, sizeof r.where, "%.255s:%zu", set->path, r.line);
        CIUIC_TRY(read_row(&r, &row));
        if (r.line == 1) {
            if (row.count == FIELDS && strcmp(row.fields[0], "name") == 0 && strcmp(row.fields[1], "tokens") == 0 &&
                strcmp(row.fields[2], "seconds") == 0)
                continue;
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: no header; expected name,tokens,seconds, or JSON", r.where);
        }
        if (row.count > 0) CIUIC_TRY(add_row(&r, &row, set));
    }
    return CIUIC_OK;
}
