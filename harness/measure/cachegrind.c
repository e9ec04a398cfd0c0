/* cachegrind.c - see cachegrind.h. */
#include "harness/measure/cachegrind.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

enum { COLUMNS_MAX = 32, FILE_MAX = 64 << 20 };
/* Of one line, and of all: sums of profiles, a few times one of them, stay within int64_t. */
static const int64_t line_most = (int64_t)1 << 53, sum_most = (int64_t)1 << 58;

/* As the file calls them. */
static const struct {
    const char *column, *name;
} events[CACHEGRIND_EVENTS] = {
    {"Ir", "instructions"},      {"Dr", "data_reads"},       {"Dw", "data_writes"},       {"D1mr", "d1_read_misses"},
    {"D1mw", "d1_write_misses"}, {"DLmr", "ll_read_misses"}, {"DLmw", "ll_write_misses"},
};

const char *cachegrind_event_name(cachegrind_event e)
{
    return events[e].name;
}

typedef struct reader {
    const char *name;
    size_t line;                  /* counted from 1, for messages */
    int place[CACHEGRIND_EVENTS]; /* column of each event; -1: not there */
    int columns;                  /* 0: "events:" has not come */
    operation_class class;        /* of the function that lines are of */
    bool summed;                  /* "summary:" has come */
    int64_t summary[COLUMNS_MAX];
    cachegrind_profile *profile;
} reader;

static ciuic_status refuse(const reader *r, const char *found)
{
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: line %zu: found %s; expected what cachegrind of valgrind 3.19 writes",
                      r->name, r->line, found);
}

static ciuic_status read_events(reader *r, char *line)
{
    char *rest = NULL;
    for (int e = 0; e < CACHEGRIND_EVENTS; e++) r->place[e] = -1;
    r->columns = 0;
    for (const char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (r->columns == COLUMNS_MAX) return refuse(r, "too many events");
        for (int e = 0; e < CACHEGRIND_EVENTS; e++)
            if (strcmp(events[e].column, word) == 0) r->place[e] = r->columns;
        r->columns++;
    }
    for (int e = 0; e < CACHEGRIND_EVENTS; e++)
        if (r->place[e] < 0) return refuse(r, "no event that is needed (--cache-sim=yes has them)");
    return CIUIC_OK;
}

/* At most `columns` numbers; those that are left out at the end of a line are 0. */
static ciuic_status read_counts(const reader *r, char *text, int64_t counts[COLUMNS_MAX])
{
    memset(counts, 0, COLUMNS_MAX * sizeof *counts);
    if (r->columns == 0) return refuse(r, "counts before the names of events");
    int n = 0;
    for (char *at = text + strspn(text, " "), *end = NULL; *at != '\0'; at = end + strspn(end, " ")) {
        if (n == r->columns) return refuse(r, "more counts than events");
        errno = 0;
        const bool digit = *at >= '0' && *at <= '9';
        const long long value = digit ? strtoll(at, &end, 10) : 0;
        if (!digit || errno != 0 || value > line_most || (*end != ' ' && *end != '\0'))
            return refuse(r, "what is no count");
        counts[n++] = value;
    }
    return CIUIC_OK;
}

static ciuic_status add_line(reader *r, char *line)
{
    int64_t counts[COLUMNS_MAX];
    const size_t digits = strspn(line, "0123456789"); /* the place in the source */
    if (digits == 0 || line[digits] != ' ') return refuse(r, "a line of no known kind");
    CIUIC_TRY(read_counts(r, line + digits, counts));
    for (int e = 0; e < CACHEGRIND_EVENTS; e++) {
        int64_t *sum = &r->profile->counts[r->class][e];
        *sum += counts[r->place[e]];
        if (*sum > sum_most) return refuse(r, "counts that are too large");
    }
    return CIUIC_OK;
}

static ciuic_status read_line(reader *r, char *line)
{
    if (r->summed) return refuse(r, "more after the summary");
    if (line[0] == '\0' || strncmp(line, "desc: ", 6) == 0 || strncmp(line, "cmd: ", 5) == 0 ||
        strncmp(line, "fl=", 3) == 0 || strncmp(line, "fi=", 3) == 0 || strncmp(line, "fe=", 3) == 0)
        return CIUIC_OK;
    if (strncmp(line, "events: ", 8) == 0) return read_events(r, line + 8);
    if (strncmp(line, "fn=", 3) == 0) {
        r->class = operation_class_of(line + 3);
        return CIUIC_OK;
    }
    if (strncmp(line, "summary: ", 9) != 0) return add_line(r, line);
    r->summed = true;
    return read_counts(r, line + 9, r->summary); /* above line_most it is refused: nobody waits for so many */
}

static ciuic_status check_summary(const reader *r)
{
    if (!r->summed) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: it ends without a summary: it was cut", r->name);
    for (int e = 0; e < CACHEGRIND_EVENTS; e++)
        if (cachegrind_total(r->profile, (cachegrind_event)e) != r->summary[r->place[e]])
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s: the lines add up to other than the summary", r->name,
                              events[e].column);
    return CIUIC_OK;
}

ciuic_status cachegrind_parse(const char *text, size_t length, const char *name, cachegrind_profile *profile)
{
    reader r = {.name = name, .class = OPERATION_OTHER, .profile = profile};
    *profile = (cachegrind_profile){0};
    char *copy = malloc(length + 1);
    if (copy == NULL) return ciuic_fail_memory("counts of cachegrind", length);
    memcpy(copy, text, length);
    copy[length] = '\0';
    ciuic_status status = strlen(copy) == length ? CIUIC_OK : refuse(&r, "a NUL");
    for (char *line = copy, *next = NULL; line != NULL && status == CIUIC_OK; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) *next++ = '\0';
        r.line++;
        if (next != NULL || line[0] != '\0') status = read_line(&r, line);
    }
    if (status == CIUIC_OK) status = check_summary(&r);
    free(copy);
    return status;
}

ciuic_status cachegrind_read(const char *path, cachegrind_profile *profile)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    size_t room = 1 << 20, used = 0, n = 0;
    char *text = malloc(room);
    while (text != NULL && (n = fread(text + used, 1, room - used, file)) > 0) {
        used += n;
        if (used < room) continue;
        char *grown = room < FILE_MAX ? realloc(text, room *= 2) : NULL;
        if (grown == NULL) break;
        text = grown;
    }
    ciuic_status status = CIUIC_OK;
    if (text == NULL || used == room)
        status =
            ciuic_fail(CIUIC_ERROR_INPUT, "%s: more than %d bytes, or more than there is memory for", path, FILE_MAX);
    else if (ferror(file))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    else
        status = cachegrind_parse(text, used, path, profile);
    free(text);
    fclose(file);
    return status;
}

void cachegrind_add(cachegrind_profile *sum, const cachegrind_profile *other, int64_t factor)
{
    for (int c = 0; c < OPERATION_CLASSES; c++)
        for (int e = 0; e < CACHEGRIND_EVENTS; e++) sum->counts[c][e] += factor * other->counts[c][e];
}

int64_t cachegrind_total(const cachegrind_profile *profile, cachegrind_event e)
{
    int64_t sum = 0;
    for (int c = 0; c < OPERATION_CLASSES; c++) sum += profile->counts[c][e];
    return sum;
}
