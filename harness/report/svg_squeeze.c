/* svg_squeeze.c - one pass, tag by tag. */
#include "harness/report/svg_squeeze.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64, NUMBER = 16 };

/* What SVG takes for granted, and what svg_squeeze_style says once. */
static const struct {
    const char *from, *to;
} shorter[] = {
    {" stroke-linecap=\"butt\"", ""},
    {" stroke-linejoin=\"miter\"", ""},
    {" class=\"gridline\"", ""},
    {" fill=\"none\" stroke=\"currentColor\" stroke-width=\"0.50\"", " class=\"l\""},
    {" stroke=\"none\" fill=\"currentColor\" font-size=\"13.00\" ", " class=\"t\""},
};

const char svg_squeeze_style[] = "svg.plot .l{fill:none;stroke:currentColor;stroke-width:.5}"
                                 "svg.plot .t{stroke:none;fill:currentColor;font-size:13px}";

/* Where the tags of groups begin (NULL: it has an id, and stays) and end. Beyond DEPTH nothing is shortened. */
typedef struct open_groups {
    char *begin[DEPTH], *end[DEPTH];
    size_t depth;
} open_groups;

/* Bytes of one of these at `c`, and what stands for it; 0: there is none. */
static size_t shorter_at(const char *c, const char **to)
{
    for (size_t i = 0; i < sizeof shorter / sizeof shorter[0]; i++) {
        *to = shorter[i].to;
        if (strncmp(c, shorter[i].from, strlen(shorter[i].from)) == 0) return strlen(shorter[i].from);
    }
    return 0;
}

/* Bytes of "rgb( 59, 130, 196)" at `c`, written as #3b82c4 at `to`; 0: there is none. */
static size_t colour_at(const char *c, char *to)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c + 4;
    if (strncmp(c, "rgb(", 4) != 0) return 0;
    to[0] = '#';
    for (int i = 0; i < 3; i++) {
        char *end = NULL;
        const long part = strtol(at, &end, 10);
        if (end == at || part < 0 || part > 255 || *end != (i < 2 ? ',' : ')')) return 0;
        to[1 + 2 * i] = digits[part / 16];
        to[2 + 2 * i] = digits[part % 16];
        at = end + 1;
    }
    return (size_t)(at - c);
}

/* Bytes of a number with two decimals at `c`, which is not within another; written at `to` with one, where it is 10 or more: a
 * coordinate, of a thousand pixels or so. Widths and scales are smaller. Noughts behind the point go. *written is its length. */
static size_t number_at(const char *tag, const char *c, char to[NUMBER], size_t *written)
{
    const size_t whole = strspn(c, "0123456789");
    if (whole == 0 || whole > 4 || c[whole] != '.') return 0;
    if (c > tag && (isdigit((unsigned char)c[-1]) || c[-1] == '.')) return 0;
    if (strspn(c + whole + 1, "0123456789") != 2) return 0;
    const char *decimals = c + whole + 1;
    int hundredths = (decimals[0] - '0') * 10 + decimals[1] - '0', number = atoi(c); /* NOLINT(cert-err34-c): digits */
    if (whole >= 2) hundredths = (hundredths + 5) / 10 * 10;
    if (hundredths == 100) number++;
    if (hundredths % 100 == 0)
        *written = (size_t)snprintf(to, NUMBER, "%d", number);
    else if (hundredths % 10 == 0)
        *written = (size_t)snprintf(to, NUMBER, "%d.%d", number, hundredths / 10);
    else
        *written = (size_t)snprintf(to, NUMBER, "%d.%02d", number, hundredths);
    return whole + 3;
}

/* The L of a line that goes on from a point of a path: behind M or L it is taken for granted. */
static bool is_plain_line(const char *tag, const char *c)
{
    if (*c != 'L' || strncmp(tag, "<path", 5) != 0) return false;
    while (--c > tag && (isdigit((unsigned char)*c) || strchr("., -", *c) != NULL)) continue;
    return *c == 'M' || *c == 'L';
}

/* Copies the tag at `from` (of `length` bytes) to `to`, which may be the same place; returns its new end. */
static char *copy_tag(char *to, const char *from, size_t length)
{
    const char *const end = from + length;
    const char *const joints = strncmp(from, "<path", 5) == 0 ? "=/>'M" : "=/>'";
    for (const char *c = from; c < end;) {
        const char *instead = NULL;
        char other[NUMBER];
        size_t bytes = 0;
        const size_t known = *c == ' ' ? shorter_at(c, &instead) : 0, coloured = *c == 'r' ? colour_at(c, other) : 0;
        const size_t number = isdigit((unsigned char)*c) ? number_at(from, c, other, &bytes) : 0;
        if (known > 0) {
            for (; *instead != '\0'; instead++) *to++ = *instead;
            c += known;
        } else if (coloured > 0) {
            memcpy(to, other, 7);
            to += 7;
            c += coloured;
        } else if (number > 0) {
            memcpy(to, other, bytes);
            to += bytes;
            c += number;
        } else if (is_plain_line(from, c)) {
            c++;
        } else if (isspace((unsigned char)*c)) {
            while (c < end && isspace((unsigned char)*c)) c++;
            /* Before and behind =, before the next part of a path, and at the end of a value or a tag. */
            if (strchr(joints, *c) == NULL && to[-1] != '=') *to++ = ' ';
        } else {
            *to++ = *c++;
        }
    }
    return to;
}

/* A path that only moves, or a point's halo that svg.c has made invisible. */
static bool draws_nothing(const char *tag, const char *end)
{
    if (strncmp(tag, "<use ", 5) == 0) return memmem(tag, (size_t)(end - tag), " opacity='0'/>", 14) != NULL;
    if (strncmp(tag, "<path", 5) != 0) return false;
    const char *data = memmem(tag, (size_t)(end - tag), " d='M", 5);
    if (data == NULL) return false;
    const char *c = data + 5;
    while (c < end && (isdigit((unsigned char)*c) || strchr(".,-", *c) != NULL)) c++;
    return c < end && *c == '\''; /* behind a blank there would be another point, and a line to it */
}

/* A path that polygons have become; `end` is behind it. */
typedef struct filled_path {
    char *end, colour[8];
} filled_path;

/* A polygon at [begin, end) becomes a path, or a part of the one right before it that has its colour. Returns the new end. */
static char *join_polygon(filled_path *last, char *begin, char *end)
{
    static const char head[] = "<polygon fill='", middle[] = "' points='", close[] = "'/>";
    const size_t colour = sizeof last->colour - 1;
    if ((size_t)(end - begin) < strlen(head) + colour + strlen(middle) + strlen(close)) return end;
    char *const points = begin + strlen(head) + colour + strlen(middle);
    if (strncmp(begin, head, strlen(head)) != 0 || begin[strlen(head)] != '#' ||
        strncmp(points - strlen(middle), middle, strlen(middle)) != 0 || strncmp(end - strlen(close), close, 3) != 0)
        return end;
    const size_t bytes = (size_t)(end - points) - strlen(close);
    char *to = begin;
    if (last->end == begin && strncmp(last->colour, begin + strlen(head), colour) == 0) {
        to -= strlen(close);
    } else {
        memcpy(last->colour, begin + strlen(head), colour);
        to = stpcpy(stpcpy(stpcpy(to, "<path fill='"), last->colour), "' d='");
    }
    *to++ = 'M';
    memmove(to, points, bytes);
    to += bytes;
    memcpy(to, "z'/>", 4);
    return last->end = to + 4;
}

/* Whether [begin, end) is one text element, begun by `tag`. */
static bool is_one_text(const char *begin, const char *end, const char *tag)
{
    static const char close[] = "</text>";
    const size_t bytes = (size_t)(end - begin), own = sizeof close - 1;
    if (bytes < strlen(tag) + own || strncmp(begin, tag, strlen(tag)) != 0) return false;
    return (const char *)memmem(begin, bytes, close, own) == end - own;
}

/* <g A><text>T</text></g> as <text A>T</text>, and <g class="l"> around such a text, which has its own colours, as the text
 * alone. `begin` is where the group's tag begins, `inside` what is in it, up to `end`; the new end is returned. */
static char *unwrap(char *begin, char *inside, char *end)
{
    static const char plain[] = "<text>", line[] = "<g class=\"l\">";
    if (is_one_text(inside, end, plain)) {
        const size_t attributes = (size_t)(inside - begin) - strlen("<g") - strlen(">");
        memmove(begin + strlen("<text"), begin + strlen("<g"), attributes);
        memcpy(begin, "<text", strlen("<text"));
        begin[strlen("<text") + attributes] = '>';
        char *const content = begin + strlen("<text") + attributes + 1;
        const size_t bytes = (size_t)(end - inside) - strlen(plain);
        memmove(content, inside + strlen(plain), bytes);
        return content + bytes;
    }
    if ((size_t)(inside - begin) == strlen(line) && strncmp(begin, line, strlen(line)) == 0 &&
        is_one_text(inside, end, "<text transform=")) {
        const size_t bytes = (size_t)(end - inside);
        memmove(begin, inside, bytes);
        return begin + bytes;
    }
    return NULL;
}

/* A tag at [begin, end): begins a group, or ends one that can be taken back or shortened. Returns the new end. */
static char *close_groups(open_groups *open, char *begin, char *end)
{
    if (strncmp(begin, "<g", 2) == 0 && (begin[2] == ' ' || begin[2] == '>')) {
        if (open->depth == DEPTH) return end;
        const bool has_id = memmem(begin, (size_t)(end - begin), " id=", 4) != NULL;
        open->begin[open->depth] = has_id ? NULL : begin;
        open->end[open->depth++] = end;
    } else if (strncmp(begin, "</g>", 4) == 0 && open->depth > 0) {
        open->depth--;
        char *const group = open->begin[open->depth], *const inside = open->end[open->depth];
        if (group == NULL) return end;
        if (inside == begin) return group;
        char *shorter_end = unwrap(group, inside, begin);
        return shorter_end != NULL ? shorter_end : end;
    }
    return end;
}

void svg_squeeze(char *svg)
{
    open_groups open = {.depth = 0};
    filled_path last = {.end = NULL};
    char *to = svg;
    for (const char *c = svg; *c != '\0';) {
        if (*c == '<') {
            const char *end = strchr(c, '>');
            const size_t length = end != NULL ? (size_t)(end - c) + 1 : strlen(c);
            char *const begin = to;
            to = copy_tag(to, c, length);
            c += length;
            to = draws_nothing(begin, to) ? begin : close_groups(&open, begin, join_polygon(&last, begin, to));
            continue;
        }
        const size_t blanks = strspn(c, " \t\r\n"), text = strcspn(c, "<");
        if (blanks < text) { /* of text, the blanks count */
            memmove(to, c, text);
            to += text;
        }
        c += text;
    }
    *to = '\0';
}
