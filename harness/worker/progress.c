/* progress.c - see progress.h. */
#include "harness/worker/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 79, TITLE = 80, LINE = 256 };

struct progress {
    bool terminal;
    size_t blocks, block;
    double budget_s;
    double left_s; /* as estimated last */
    char title[TITLE];
    bool line_open;
};

progress *progress_create(size_t blocks, double budget_s)
{
    progress *p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    p->terminal = isatty(STDERR_FILENO) == 1;
    p->blocks = blocks;
    p->budget_s = p->left_s = budget_s;
    return p;
}

static void end_line(progress *p)
{
    if (p->line_open) fprintf(stderr, "\r%*s\r", WIDTH, "");
    p->line_open = false;
}

void progress_free(progress *p)
{
    if (p == NULL) return;
    end_line(p);
    free(p);
}

static void format_left(double seconds, char *text, size_t size)
{
    const int whole = seconds > 0 ? (int)(seconds + 0.5) : 0;
    if (whole >= 5400)
        snprintf(text, size, "about %d h %02d min left", whole / 3600, whole / 60 % 60);
    else if (whole >= 90)
        snprintf(text, size, "about %d min left", (whole + 30) / 60);
    else
        snprintf(text, size, "about %d s left", whole);
}

/* Blocks share what the budget leaves, so those yet to come cost that; when nothing is left, as much as those so far. */
static double later_blocks_s(const progress *p, double elapsed_s, double this_block_s)
{
    const size_t later = p->blocks - p->block - 1;
    const double left = p->budget_s - elapsed_s - this_block_s;
    if (later == 0) return 0;
    return left > 0 ? left : (double)later * (elapsed_s + this_block_s) / (double)(p->block + 1);
}

static void show(progress *p, const char *what, double left_s)
{
    char left[48], line[LINE];
    if (!p->terminal) return;
    format_left(left_s, left, sizeof left);
    /* What matters most comes first: the line is cut at the terminal's usual width. */
    snprintf(line, sizeof line, "%s, block %zu/%zu, %s: %s", left, p->block + 1, p->blocks, what, p->title);
    fprintf(stderr, "\r%-*.*s", WIDTH, WIDTH, line);
    fflush(stderr);
    p->line_open = true;
}

void progress_block(progress *p, size_t index, const char *title)
{
    p->block = index;
    snprintf(p->title, sizeof p->title, "%s", title);
}

void progress_step(progress *p, const char *what, double elapsed_s)
{
    const double budget_left = p->budget_s - elapsed_s;
    show(p, what, budget_left < p->left_s ? budget_left : p->left_s);
}

void progress_round(progress *p, size_t round, size_t rounds, double round_s, double elapsed_s)
{
    char what[48];
    const double here = round_s * (double)(rounds - round);
    snprintf(what, sizeof what, "round %zu/%zu", round + 1, rounds);
    p->left_s = here + later_blocks_s(p, elapsed_s, here);
    show(p, what, p->left_s);
}

void progress_say(progress *p, const char *text)
{
    end_line(p);
    fprintf(stderr, "ciuic bench: %s\n", text);
}
