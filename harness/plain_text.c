/* plain_text.c - see plain_text.h. */
#include "harness/plain_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "optimizer/json_syntax.h"

size_t direction_mark(const char *text)
{
    static const char *const marks[] = {
        "\xd8\x9c",     "\xe2\x80\x8e", "\xe2\x80\x8f", /* U+061C, U+200E and U+200F: a mark */
        "\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", /* U+202A to U+202E */
        "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9",                 /* U+2066 to U+2069 */
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strncmp(text, marks[i], strlen(marks[i])) == 0) return strlen(marks[i]);
    return 0;
}

/* Bytes of the character at `text`, 0 where it is not one to be shown. */
static size_t shown_length(const char *text, size_t left)
{
    const unsigned char first = (unsigned char)text[0];
    const size_t length = json_utf8_length(text, left);
    if (first < 0x20 || first == 0x7f || direction_mark(text) > 0) return 0;
    if (length == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0) return 0; /* C1 */
    return length;
}

void plain_text(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const size_t length = shown_length(text, left), step = length > 0 ? length : 1;
        if (length == 0) *text = '?';
        text += step;
        left -= step;
    }
}

void plain_write(FILE *stream, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const size_t length = shown_length(text, left), step = length > 0 ? length : 1;
        fwrite(length > 0 ? text : "?", 1, step, stream);
        text += step;
        left -= step;
    }
}

void plain_append(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* U+FFFE and U+FFFF are characters to UTF-8 and not to XML. */
static bool is_noncharacter(const char *text, size_t length)
{
    return length == 3 && memcmp(text, "\xef\xbf", 2) == 0 && (unsigned char)text[2] >= 0xbe;
}

void xml_text(FILE *stream, const char *text)
{
    static const struct {
        char character;
        const char *entity;
    } entities[] = {{'&', "&amp;"},   {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"},
                    {'\'', "&apos;"}, {'\t', " "},   {'\n', " "},   {'\r', " "}};
    for (size_t left = strlen(text); left > 0;) {
        const size_t length = shown_length(text, left), step = length > 0 ? length : 1;
        const char *entity = length == 0 || is_noncharacter(text, length) ? "?" : NULL;
        for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
            if (entities[i].character == *text) entity = entities[i].entity;
        if (entity != NULL)
            fputs(entity, stream);
        else
            fwrite(text, 1, length, stream);
        text += step;
        left -= step;
    }
}
