/* svg.c - a handful of textual replacements; gnuplot's output is regular enough for them, and a test holds it to
 * that. */
#include "harness/report/svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/page.h"
#include "harness/report/svg_definitions.h"
#include "harness/report/svg_squeeze.h"

/* What to write in place of what; %s in `to` is the slug. The scripts draw text in #010101, which nothing else uses. */
static const struct {
    const char *from, *before, *after; /* written: before, and where `after` is not NULL the slug and after */
} replacements[] = {
    {"rgb(1,1,1)", "currentColor", NULL},
    {"rgb(  1,   1,   1)", "currentColor", NULL},
    {" color=\"black\"", "", NULL},
    {" color=\"gray\"", "", NULL},
    {" color=\"white\"", "", NULL},
    {" color='white'", " opacity='0'", NULL}, /* a halo round points, in the colour of a page that is not ours */
    {" font-family=\"sans-serif\"", "", NULL},
    {"id='gp", "id='", "-gp"},
    {"id='textbox'", "id='", "-textbox'"},
    {"id='greybox'", "id='", "-greybox'"},
    {"id=\"gnuplot_", "id=\"", "-gnuplot_"},
    {"href='#gp", "href='#", "-gp"},
};

static const char standalone_style[] = "<style>svg{color:#1b1f24;background:#fff;font-family:system-ui,sans-serif}"
                                       "@media(prefers-color-scheme:dark){svg{color:#e6e8eb;background:#14171b}}";

static const char opening[] = "<svg class=\"plot\" role=\"img\"";

/* Writes what stands for the text at `c` and returns how much of it that was; 0 when nothing is to be replaced. */
static size_t replace(FILE *out, const char *c, const char *slug)
{
    static const char title[] = "<title>", title_end[] = "</title>";
    if (strncmp(c, title, sizeof title - 1) == 0) { /* names of gnuplot's own, which would pop up under the mouse */
        const char *end = strstr(c, title_end);
        if (end != NULL) return (size_t)(end - c) + sizeof title_end - 1;
    }
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++) {
        const size_t length = strlen(replacements[i].from);
        if (replacements[i].from[0] != *c || strncmp(c, replacements[i].from, length) != 0) continue;
        fputs(replacements[i].before, out);
        if (replacements[i].after != NULL) fprintf(out, "%s%s", slug, replacements[i].after);
        return length;
    }
    return 0;
}

/* The text that a memory stream has become; NULL, and the text freed, where a part of it may be missing. A stream in memory does not
 * always say that memory ran out: a whole plot has its end. */
static char *whole_svg(FILE *out, char **text, bool failed)
{
    static const char end[] = "</svg>";
    if (fclose(out) == 0 && !failed) {
        size_t n = strlen(*text);
        while (n > 0 && (*text)[n - 1] == '\n') n--;
        if (n >= sizeof end - 1 && strncmp(*text + n - (sizeof end - 1), end, sizeof end - 1) == 0) return *text;
    }
    free(*text);
    return NULL;
}

char *svg_finish(const char *raw, const char *slug, const char *title)
{
    const char *start = strstr(raw, "<svg");
    const char *body = start != NULL ? strchr(start, '>') : NULL;
    if (body == NULL) return NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) return NULL;
    fputs(opening, out);
    fwrite(start + 4, 1, (size_t)(body + 1 - (start + 4)), out);
    fputs("\n<title>", out);
    page_escape(out, PAGE_HTML, title);
    fputs("</title>\n", out);
    /* Every pattern begins with one of these; a plot has many thousands of other characters. */
    for (const char *c = body + 1; *c != '\0';) {
        const size_t plain = strcspn(c, " <irh"), known = plain == 0 ? replace(out, c, slug) : 0;
        const size_t kept = plain > 0 ? plain : known > 0 ? 0 : 1;
        fwrite(c, 1, kept, out);
        c += kept + known;
    }
    char *svg = whole_svg(out, &text, ferror(out) != 0);
    if (svg == NULL) return NULL;
    svg_squeeze(svg);
    svg_drop_unused(svg);
    return svg;
}

char *svg_standalone(const char *svg)
{
    static const char end[] = "</title>";
    const char *rest = strstr(svg, end);
    char *text = NULL;
    if (rest == NULL) return NULL;
    rest += sizeof end - 1;
    if (asprintf(&text, "<?xml version=\"1.0\" encoding=\"utf-8\"?>%.*s%s%s</style>%s", (int)(rest - svg), svg,
                 standalone_style, svg_squeeze_style, rest) < 0)
        return NULL;
    return text;
}
