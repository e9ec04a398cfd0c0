/* journal.c - see journal.h. */
#include "harness/suite/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/sha256.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { LINK_DIGITS = 16 };

/* What every line ends with: its last member is its link. */
static const char link_before[] = ",\"chain\":\"", link_after[] = "\"}";

enum { ENDING = sizeof link_before - 1 + LINK_DIGITS + sizeof link_after - 1 };

typedef struct journal_link {
    char digits[LINK_DIGITS + 1];
} journal_link;

struct journal {
    int file;
    char *path;
    journal_link last; /* of the last line; "" before the first */
};

/* ---- the chain -------------------------------------------------------------------------------------------------- */

/* Of a line whose text, up to where its link begins, is this: over the link of the line before, too. A line that is changed
 * does not fit its own link, and one that was taken out, put in or moved not the next one's. Like the results' digest it is
 * no signature. */
static ciuic_status link_line(const journal_link *before, const char *text, size_t length, journal_link *out)
{
    const size_t head = strlen(before->digits);
    char *both = malloc(head + length + 1);
    if (both == NULL) return ciuic_fail_memory("a journal entry", head + length);
    memcpy(both, before->digits, head);
    memcpy(both + head, text, length);
    const sha256_hex digest = sha256_data(both, head + length);
    free(both);
    snprintf(out->digits, sizeof out->digits, "%.*s", LINK_DIGITS, digest.text);
    return CIUIC_OK;
}

static bool ends_with_link(const char *text, size_t length)
{
    return length > ENDING && memcmp(text + length - ENDING, link_before, sizeof link_before - 1) == 0 &&
           memcmp(text + length - (sizeof link_after - 1), link_after, sizeof link_after - 1) == 0;
}

/* Whether this line, without its newline, is the one that was written after the last; it then is the last. */
static ciuic_status follow_link(journal *j, const char *text, size_t length, size_t number)
{
    journal_link expected;
    if (!ends_with_link(text, length))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: line %zu lacks its link to the line before: edited, or by an earlier version of ciuic; "
                          "start afresh in another folder",
                          j->path, number);
    CIUIC_TRY(link_line(&j->last, text, length - ENDING, &expected));
    const char *written = text + length - ENDING + sizeof link_before - 1;
    if (memcmp(written, expected.digits, LINK_DIGITS) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: line %zu is not the one that was written here: it was edited, or lines before it were "
                          "removed, added or moved; start afresh in another folder",
                          j->path, number);
    j->last = expected;
    return CIUIC_OK;
}

/* The entry as a line with its link and a newline, to be freed; NULL without memory. */
static char *linked_line(const journal *j, const cJSON *entry, journal_link *own)
{
    char *line = NULL, *text = cJSON_PrintUnformatted(entry);
    const size_t body = text != NULL ? strlen(text) - 1 : 0; /* without the brace that closes it */
    if (text == NULL || link_line(&j->last, text, body, own) != CIUIC_OK ||
        asprintf(&line, "%.*s%s%s%s\n", (int)body, text, link_before, own->digits, link_after) < 0)
        line = NULL;
    cJSON_free(text);
    return line;
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

/* mkdir -p. */
static ciuic_status make_folder(const char *path)
{
    char *part = strdup(path);
    if (part == NULL) return ciuic_fail_memory("a path", strlen(path));
    ciuic_status status = CIUIC_OK;
    for (char *p = part + 1; status == CIUIC_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        const char end = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: the folder cannot be made: %s", part, strerror(errno));
        *p = end;
        if (end == '\0') break;
    }
    free(part);
    return status;
}

static bool holds(const char *directory, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, name) < 0) return true; /* out of memory: rather refuse than overwrite */
    const bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* The process that holds the lock on this file, by /proc/locks: "1: FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF"; 0 when
 * it is not to be seen, as from within a container. The device is not compared: some file systems name another there. */
static long lock_holder(int file)
{
    struct stat status;
    char line[256];
    long holder = 0;
    FILE *locks = fstat(file, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (locks != NULL && holder == 0 && fgets(line, sizeof line, locks) != NULL) {
        unsigned long inode = 0;
        long process = 0;
        if (sscanf(line, "%*s FLOCK %*s %*s %ld %*x:%*x:%lu", &process, &inode) == 2 && inode == status.st_ino)
            holder = process > 0 ? process : 0;
    }
    if (locks != NULL) fclose(locks);
    return holder;
}

static ciuic_status open_locked(const char *directory, journal *j)
{
    j->file = open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->file < 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s", j->path, strerror(errno));
    if (flock(j->file, LOCK_EX | LOCK_NB) == 0) return CIUIC_OK;
    char who[48] = "";
    const long holder = lock_holder(j->file);
    if (holder > 0) snprintf(who, sizeof who, ", process %ld,", holder);
    return ciuic_fail(CIUIC_ERROR_USAGE,
                      "%s: another run%s is writing here; wait for it, or choose another folder with -o", directory,
                      who);
}

static ciuic_status read_all(const journal *j, char **text, size_t *length)
{
    struct stat status;
    if (fstat(j->file, &status) != 0 || status.st_size < 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be examined: %s", j->path, strerror(errno));
    const size_t size = (size_t)status.st_size;
    *text = malloc(size + 1);
    if (*text == NULL) return ciuic_fail_memory(j->path, size);
    *length = 0;
    while (*length < size) {
        const ssize_t n = pread(j->file, *text + *length, size - *length, (off_t)*length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", j->path, strerror(errno));
        *length += (size_t)n;
    }
    return CIUIC_OK;
}

/* Every complete line becomes an entry; *whole is where the last one ends. */
static ciuic_status parse_lines(journal *j, const char *text, size_t length, cJSON *entries, size_t *whole)
{
    size_t number = 0;
    *whole = 0;
    for (;;) {
        const char *end = memchr(text + *whole, '\n', length - *whole);
        if (end == NULL) return CIUIC_OK;
        const size_t bytes = (size_t)(end - text) - *whole;
        char name[64];
        snprintf(name, sizeof name, "line %zu", ++number);
        cJSON *entry = NULL;
        const ciuic_status status = json_parse(text + *whole, bytes, name, &entry);
        if (status != CIUIC_OK || !cJSON_IsObject(entry) || !cJSON_AddItemToArray(entries, entry)) {
            cJSON_Delete(entry);
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: line %zu is no journal entry; was it edited? Start afresh in "
                              "another folder",
                              j->path, number);
        }
        CIUIC_TRY(follow_link(j, text + *whole, bytes, number));
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "chain");
        *whole += bytes + 1;
    }
}

static ciuic_status read_entries(journal *j, cJSON *entries)
{
    char *text = NULL;
    size_t length = 0, whole = 0;
    ciuic_status status = read_all(j, &text, &length);
    if (status == CIUIC_OK) status = parse_lines(j, text, length, entries, &whole);
    if (status == CIUIC_OK && whole < length && ftruncate(j->file, (off_t)whole) != 0)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: the cut last line cannot be removed: %s", j->path, strerror(errno));
    free(text);
    return status;
}

static ciuic_status refuse_existing(const char *directory, const journal *j)
{
    struct stat status;
    const bool used = holds(directory, "results.json") || (fstat(j->file, &status) == 0 && status.st_size > 0);
    if (!used) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE,
                      "%s: holds a bench already; --resume goes on with it, -o DIR writes elsewhere, or remove it",
                      directory);
}

ciuic_status journal_open(const char *directory, bool resume, journal **out, cJSON **entries)
{
    journal *j = calloc(1, sizeof *j);
    cJSON *list = cJSON_CreateArray();
    ciuic_status status = CIUIC_OK;
    if (j != NULL) j->file = -1;
    if (j == NULL || list == NULL || asprintf(&j->path, "%s/journal.jsonl", directory) < 0)
        status = ciuic_fail_memory("the journal", sizeof *j);
    if (status == CIUIC_OK) status = make_folder(directory);
    if (status == CIUIC_OK) status = open_locked(directory, j);
    if (status == CIUIC_OK) status = resume ? read_entries(j, list) : refuse_existing(directory, j);
    if (status == CIUIC_OK) {
        *out = j;
        *entries = list;
    } else {
        journal_close(j);
        cJSON_Delete(list);
    }
    return status;
}

bool journal_no_space(const char *words)
{
    static const int errors[] = {ENOSPC, EDQUOT, EFBIG};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strstr(words, strerror(errors[i])) != NULL) return true;
    return false;
}

ciuic_status journal_append(journal *j, const cJSON *entry)
{
    struct stat before;
    journal_link own;
    char *line = linked_line(j, entry, &own);
    if (line == NULL) return ciuic_fail_memory("a journal entry", 0);
    const size_t length = strlen(line);
    size_t written = 0;
    int error = fstat(j->file, &before) == 0 ? 0 : errno;
    while (written < length && error == 0) {
        const ssize_t n = write(j->file, line + written, length - written);
        if (n < 0 && errno != EINTR) error = errno;
        if (n > 0) written += (size_t)n;
    }
    if (error == 0 && fsync(j->file) != 0) error = errno;
    free(line);
    if (error == 0) {
        j->last = own;
        return CIUIC_OK;
    }
    /* A part of a line is dropped by whoever resumes, should this fail too. */
    if (written > 0 && ftruncate(j->file, before.st_size) != 0) error = errno;
    const bool full = journal_no_space(strerror(error));
    return ciuic_fail(full ? CIUIC_ERROR_INTERRUPTED : CIUIC_ERROR_UNSUPPORTED,
                      "%s: cannot be written: %s; what was measured before is kept: %s, then go on with --resume",
                      j->path, strerror(error), full ? "free some space" : "find out why");
}

void journal_close(journal *j)
{
    if (j == NULL) return;
    if (j->file >= 0) close(j->file);
    free(j->path);
    free(j);
}
