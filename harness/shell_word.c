/* shell_word.c - see shell_word.h. Inside single quotes a shell reads nothing but their end. */
#include "harness/shell_word.h"

#include <stdlib.h>
#include <string.h>

#include "harness/plain_text.h"

/* Letters of other scripts could be blanks of a locale. A '~' is a home and a '=' an assignment at some places only; a '#' would
 * begin a comment. */
static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+:,./-";

/* Bytes of it between quotes: each quote of its own becomes '\'' outside of them. */
static size_t quoted_length(const char *word)
{
    size_t length = 2;
    for (; *word != '\0'; word++) length += *word == '\'' ? 4 : 1;
    return length;
}

static void append_quoted(char *text, const char *word)
{
    *text++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            memcpy(text, "'\\''", 4);
            text += 4;
        } else {
            *text++ = *word;
        }
    }
    *text++ = '\'';
    *text = '\0';
}

bool shell_word(char *text, size_t size, const char *word)
{
    const size_t used = strlen(text);
    char *plain = strdup(word);
    if (plain == NULL) return false;
    plain_text(plain);
    const bool quote = plain[0] == '\0' || plain[strspn(plain, safe)] != '\0';
    const size_t length = quote ? quoted_length(plain) : strlen(plain);
    const bool fits = length < size - used;
    if (fits && quote) append_quoted(text + used, plain);
    if (fits && !quote) memcpy(text + used, plain, length + 1);
    free(plain);
    return fits;
}
