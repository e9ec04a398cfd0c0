/* json_syntax.h - whether bytes are JSON as RFC 8259 has it, and where they stop being so.
 *
 * cJSON is lenient: it takes 01, "1.", raw newlines in strings, bytes that are no UTF-8 and \u0000, which cuts a string
 * short. So the text is checked here first, and cJSON only builds the tree. */
#ifndef CIUIC_JSON_SYNTAX_H
#define CIUIC_JSON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_MAX_DEPTH = 64 };

typedef struct json_syntax_error {
    size_t line, column; /* from 1; columns count bytes */
    const char *expected;
    int found; /* the byte at that place; -1 at the end of the text */
} json_syntax_error;

/* True when the text is exactly one JSON value, white space around it allowed, nested at most JSON_MAX_DEPTH deep. */
bool json_syntax_check(const char *text, size_t length, json_syntax_error *error);

/* Bytes of the UTF-8 character that begins at text[0], 0 when there is none: truncated, overlong, a surrogate, above
 * U+10FFFF. */
size_t json_utf8_length(const char *text, size_t length);

#endif
