/* column_style.c - see column_style.h. */
#include "harness/report/column_style.h"

#include <string.h>

#include "harness/plain_text.h"

static uint64_t mix(uint64_t key, unsigned char byte)
{
    return (key ^ byte) * 0x100000001b3u; /* FNV-1a */
}

uint64_t column_style_key(const page_column *columns, size_t n, bool compact)
{
    uint64_t key = mix(0xcbf29ce484222325u, compact);
    for (size_t i = 0; i < n; i++) {
        for (const char *c = columns[i].title; *c != '\0'; c++) key = mix(key, (unsigned char)*c);
        key = mix(mix(key, '\0'), columns[i].number);
    }
    return key;
}

/* All ASCII but letters and digits is written as its number: neither the string nor the style element ends early. */
static void put_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (const char *c = text; *c != '\0'; c++) {
        const unsigned char byte = (unsigned char)*c;
        const size_t mark = direction_mark(c);
        const bool letter =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (mark > 0) {
            fputc('?', stream);
            c += mark - 1;
        } else if (letter || byte == ' ' || byte >= 0x80) {
            fputc(*c, stream);
        } else {
            fprintf(stream, "\\%x ", byte < 0x20 ? 0x20u : byte); /* the blank ends the number */
        }
    }
    fputc('"', stream);
}

void column_style_write(FILE *stream, size_t number, const page_column *columns, size_t n, bool compact)
{
    for (size_t i = 1; i < n; i++)
        if (columns[i].number)
            fprintf(stream,
                    ".t%zu th:nth-child(%zu),.t%zu td:nth-child(%zu){text-align:right}"
                    ".t%zu td:nth-child(%zu){white-space:nowrap}\n",
                    number, i + 1, number, i + 1, number, i + 1);
    if (compact) return;
    const bool words = n > 2 && !columns[n - 1].number;
    if (words) fprintf(stream, ".t%zu td.quiet:last-child{min-width:18rem}\n", number);
    fputs("@media screen and (max-width:40rem){", stream);
    for (size_t i = 1; i < n; i++) {
        fprintf(stream, ".t%zu td:nth-child(%zu)::before{content:", number, i + 1);
        put_string(stream, columns[i].title);
        fputc('}', stream);
    }
    if (words)
        fprintf(stream,
                ".t%zu td.quiet:last-child{text-align:left}.t%zu td.quiet:last-child::before{float:none;display:block}",
                number, number);
    fputs("}\n", stream);
}
