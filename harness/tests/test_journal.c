/* test_journal.c - the journal: cut anywhere it keeps every whole line, and nobody else writes where somebody does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/suite/journal.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { ENTRIES = 5 };

static cJSON *make_entry(int i)
{
    cJSON *entry = cJSON_CreateObject();
    json_add_size(entry, "number", (size_t)i);
    json_add_double(entry, "seconds", 0.1 + 1.0 / (3 + i));
    cJSON_AddStringToObject(entry, "text", i % 2 == 0 ? "a \"line\"\nof two" : "\xc3\xa4");
    return entry;
}

/* Writes the entries and returns the file's text. */
static char *write_journal(const char *folder, const char *path)
{
    journal *j = NULL;
    cJSON *before = NULL;
    CHECK(journal_open(folder, false, &j, &before) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(cJSON_GetArraySize(before) == 0, "a new journal has entries");
    for (int i = 0; i < ENTRIES; i++) {
        cJSON *entry = make_entry(i);
        CHECK(journal_append(j, entry) == CIUIC_OK, "%s", ciuic_last_error());
        cJSON_Delete(entry);
    }
    journal_close(j);
    cJSON_Delete(before);
    return read_text(path);
}

static void write_bytes(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(text, 1, length, file) == length, "%s cannot be written", path);
    if (file != NULL) fclose(file);
}

static void cut_at_every_byte_it_keeps_every_whole_line(void)
{
    char *folder = temporary_folder(), *path = NULL;
    CHECK(asprintf(&path, "%s/journal.jsonl", folder) > 0, "no memory");
    char *text = write_journal(folder, path);
    const size_t length = strlen(text);
    for (size_t cut = 0; cut <= length; cut++) {
        int whole = 0;
        for (size_t i = 0; i < cut; i++) whole += text[i] == '\n';
        write_bytes(path, text, cut);
        journal *j = NULL;
        cJSON *entries = NULL, *extra = make_entry(99);
        const ciuic_status status = journal_open(folder, true, &j, &entries);
        CHECK(status == CIUIC_OK && cJSON_GetArraySize(entries) == whole, "cut at %zu: %d entries, expected %d", cut,
              cJSON_GetArraySize(entries), whole);
        /* And what is appended then stands on a line of its own. */
        CHECK(journal_append(j, extra) == CIUIC_OK, "%s", ciuic_last_error());
        journal_close(j);
        cJSON_Delete(entries);
        entries = NULL;
        j = NULL;
        CHECK(journal_open(folder, true, &j, &entries) == CIUIC_OK && cJSON_GetArraySize(entries) == whole + 1,
              "cut at %zu: the next entry is lost", cut);
        const cJSON *number = json_find(cJSON_GetArrayItem(entries, whole), "number");
        CHECK(cJSON_IsNumber(number) && number->valuedouble == 99, "cut at %zu: the next entry is another", cut);
        journal_close(j);
        cJSON_Delete(entries);
        cJSON_Delete(extra);
    }
    free(text);
    free(path);
    remove_folder(folder);
}

static void a_line_that_is_no_entry_is_refused(void)
{
    static const char *const lines[] = {
        "{\"kind\":\"run\"}\nnot json\n{\"kind\":\"done\"}\n",
        "[1]\n",
        "{\"kind\":\"run\"}\n{\"a\":1,\"a\":2}\n",
    };
    char *folder = temporary_folder(), *path = NULL;
    CHECK(asprintf(&path, "%s/journal.jsonl", folder) > 0, "no memory");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        journal *j = NULL;
        cJSON *entries = NULL;
        write_bytes(path, lines[i], strlen(lines[i]));
        const ciuic_status status = journal_open(folder, true, &j, &entries);
        CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "journal.jsonl: line") != NULL,
              "row %zu: status %d: %s", i, (int)status, ciuic_last_error());
    }
    free(path);
    remove_folder(folder);
}

static const char *line_at(const char *text, size_t number)
{
    while (number-- > 0) text = strchr(text, '\n') + 1;
    return text;
}

/* The lines of `text` in this order, one of them with this digit changed. */
static size_t rearrange(const char *text, const size_t *order, size_t count, size_t edited, char *out)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        const char *line = line_at(text, order[i]);
        const size_t bytes = (size_t)(strchr(line, '\n') + 1 - line);
        memcpy(out + length, line, bytes);
        if (i == edited) {
            char *digit = strstr(out + length, "0.") + 2;
            *digit = *digit == '9' ? '8' : (char)(*digit + 1);
        }
        length += bytes;
    }
    return length;
}

/* Whatever is done to whole lines is noticed at the first that does not fit; the last ones alone may be missing. */
static void lines_that_were_edited_removed_or_moved_are_refused(void)
{
    enum { NONE = 99 };
    static const struct {
        size_t order[ENTRIES + 1], count, edited, line; /* line: the one that is named, from 1; 0: all is well */
    } rows[] = {
        {{0, 1, 2, 3, 4}, 5, NONE, 0}, {{0, 1, 2}, 3, NONE, 0},          {{0, 1, 2, 3, 4}, 5, 0, 1},
        {{0, 1, 2, 3, 4}, 5, 2, 3},    {{0, 1, 2, 3, 4}, 5, 4, 5},       {{0, 2, 3, 4}, 4, NONE, 2},
        {{1, 2, 3, 4}, 4, NONE, 1},    {{0, 1, 3, 2, 4}, 5, NONE, 3},    {{0, 1, 1, 2, 3, 4}, 6, NONE, 3},
        {{0, 1, 2, 4}, 4, NONE, 4},    {{0, 1, 2, 3, 4, 4}, 6, NONE, 6},
    };
    char *folder = temporary_folder(), *path = NULL;
    CHECK(asprintf(&path, "%s/journal.jsonl", folder) > 0, "no memory");
    char *text = write_journal(folder, path), *changed = malloc(2 * strlen(text) + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
    memset(changed, 0, 2 * strlen(text) + 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_bytes(path, changed, rearrange(text, rows[i].order, rows[i].count, rows[i].edited, changed));
        journal *j = NULL;
        cJSON *entries = NULL;
        char named[32];
        const ciuic_status status = journal_open(folder, true, &j, &entries);
        snprintf(named, sizeof named, "line %zu is not the one", rows[i].line);
        if (rows[i].line == 0)
            CHECK(status == CIUIC_OK && (size_t)cJSON_GetArraySize(entries) == rows[i].count, "row %zu: %s", i,
                  ciuic_last_error());
        else
            CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), named) != NULL, "row %zu: status %d: %s", i,
                  (int)status, ciuic_last_error());
        if (status != CIUIC_OK) continue;
        CHECK(json_find(cJSON_GetArrayItem(entries, 0), "chain") == NULL, "the link is handed out");
        cJSON_Delete(entries);
        journal_close(j);
    }
    free(changed);
    free(text);
    free(path);
    remove_folder(folder);
}

/* By a ciuic that did not link them. */
static void a_journal_without_links_is_refused(void)
{
    static const char text[] = "{\"kind\":\"run\",\"t\":0}\n{\"kind\":\"machine\",\"t\":0}\n";
    char *folder = temporary_folder(), *path = NULL;
    CHECK(asprintf(&path, "%s/journal.jsonl", folder) > 0, "no memory");
    write_bytes(path, text, sizeof text - 1);
    journal *j = NULL;
    cJSON *entries = NULL;
    const ciuic_status status = journal_open(folder, true, &j, &entries);
    CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "line 1 lacks its link") != NULL, "status %d: %s",
          (int)status, ciuic_last_error());
    free(path);
    remove_folder(folder);
}

static void a_used_folder_wants_resume(void)
{
    static const char *const names[] = {"journal.jsonl", "results.json"};
    for (size_t i = 0; i < 2; i++) {
        char *folder = temporary_folder(), *path = NULL;
        CHECK(asprintf(&path, "%s/%s", folder, names[i]) > 0, "no memory");
        write_bytes(path, "{}\n", 3);
        journal *j = NULL;
        cJSON *entries = NULL;
        const ciuic_status status = journal_open(folder, false, &j, &entries);
        CHECK(status == CIUIC_ERROR_USAGE && strstr(ciuic_last_error(), "--resume") != NULL, "%s: status %d: %s",
              names[i], (int)status, ciuic_last_error());
        free(path);
        remove_folder(folder);
    }
}

static void two_runs_in_one_folder_are_refused(void)
{
    char *folder = temporary_folder();
    journal *j = NULL, *second = NULL;
    cJSON *entries = NULL, *none = NULL;
    CHECK(journal_open(folder, false, &j, &entries) == CIUIC_OK, "%s", ciuic_last_error());
    for (int resume = 0; resume < 2; resume++) {
        const ciuic_status status = journal_open(folder, resume != 0, &second, &none);
        CHECK(status == CIUIC_ERROR_USAGE && strstr(ciuic_last_error(), "another run") != NULL, "status %d: %s",
              (int)status, ciuic_last_error());
        char holder[32]; /* this process, where the kernel lists locks at all */
        snprintf(holder, sizeof holder, "process %ld,", (long)getpid());
        char *locks = read_text("/proc/locks");
        CHECK(strstr(ciuic_last_error(), holder) != NULL || locks == NULL || strstr(locks, "FLOCK") == NULL, "%s",
              ciuic_last_error());
        free(locks);
    }
    journal_close(j);
    cJSON_Delete(entries);
    entries = NULL;
    CHECK(journal_open(folder, true, &second, &entries) == CIUIC_OK, "the lock outlived its holder: %s",
          ciuic_last_error());
    journal_close(second);
    cJSON_Delete(entries);
    remove_folder(folder);
}

/* In a process whose files may not grow beyond so many bytes: what a full disk looks like to a write. */
static int write_until_full(const char *folder, size_t bytes)
{
    const struct rlimit limit = {bytes, bytes};
    journal *j = NULL;
    cJSON *before = NULL;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || journal_open(folder, false, &j, &before) != CIUIC_OK) return 99;
    for (int i = 0; i < 1000; i++) {
        cJSON *entry = make_entry(i);
        const ciuic_status status = journal_append(j, entry);
        cJSON_Delete(entry);
        if (status != CIUIC_OK) return strstr(ciuic_last_error(), "--resume") != NULL ? (int)status : 98;
    }
    return 97;
}

static void a_full_disk_leaves_whole_lines(void)
{
    for (size_t bytes = 0; bytes < 400; bytes += 7) {
        char *folder = temporary_folder(), *path = NULL;
        CHECK(asprintf(&path, "%s/journal.jsonl", folder) > 0, "no memory");
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) _exit(write_until_full(folder, bytes));
        int ended = 0;
        CHECK(waitpid(child, &ended, 0) == child && WIFEXITED(ended) && WEXITSTATUS(ended) == CIUIC_ERROR_INTERRUPTED,
              "%zu bytes: ended with %d", bytes, WEXITSTATUS(ended));
        char *text = read_text(path);
        const size_t length = text != NULL ? strlen(text) : 0;
        CHECK(length == 0 || text[length - 1] == '\n', "%zu bytes: half a line was left", bytes);
        journal *j = NULL;
        cJSON *entries = NULL;
        CHECK(journal_open(folder, true, &j, &entries) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK((size_t)cJSON_GetArraySize(entries) == count_lines(text != NULL ? text : ""), "%zu bytes: %d entries",
              bytes, cJSON_GetArraySize(entries));
        journal_close(j);
        cJSON_Delete(entries);
        free(text);
        free(path);
        remove_folder(folder);
    }
}

static void folders_are_made_on_the_way(void)
{
    char *folder = temporary_folder(), *deep = NULL, *file = NULL, *below_file = NULL;
    journal *j = NULL;
    cJSON *entries = NULL;
    CHECK(asprintf(&deep, "%s/a/b", folder) > 0 && asprintf(&file, "%s/a/b/journal.jsonl", folder) > 0 &&
              asprintf(&below_file, "%s/x", file) > 0,
          "no memory");
    CHECK(journal_open(deep, false, &j, &entries) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(access(file, F_OK) == 0, "%s is not there", file);
    journal_close(j);
    cJSON_Delete(entries);
    const ciuic_status status = journal_open(below_file, false, &j, &entries);
    CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "cannot be") != NULL, "status %d: %s", (int)status,
          ciuic_last_error());
    unlink(file);
    rmdir(deep);
    *strrchr(deep, '/') = '\0';
    rmdir(deep);
    free(deep);
    free(file);
    free(below_file);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"cut_at_every_byte_it_keeps_every_whole_line", cut_at_every_byte_it_keeps_every_whole_line},
    {"a_line_that_is_no_entry_is_refused", a_line_that_is_no_entry_is_refused},
    {"lines_that_were_edited_removed_or_moved_are_refused", lines_that_were_edited_removed_or_moved_are_refused},
    {"a_journal_without_links_is_refused", a_journal_without_links_is_refused},
    {"a_used_folder_wants_resume", a_used_folder_wants_resume},
    {"two_runs_in_one_folder_are_refused", two_runs_in_one_folder_are_refused},
    {"a_full_disk_leaves_whole_lines", a_full_disk_leaves_whole_lines},
    {"folders_are_made_on_the_way", folders_are_made_on_the_way},
};
TEST_SUITE(journal, cases);
