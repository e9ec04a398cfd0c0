/* test_atomic_file.c - a file is there whole or not at all, and nothing else is left in its folder. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/atomic_file.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static temporary_folder folder;
static char path[TEST_PATH];

static void begin(void)
{
    temporary_folder_create(&folder);
    temporary_path(&folder, "out", path);
}

static bool holds(const char *expected)
{
    size_t bytes = 0;
    char *text = read_bytes(path, &bytes);
    const bool same = bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
    free(text);
    return same;
}

static void appears_at_commit(void)
{
    begin();
    atomic_file file;
    CU_ASSERT_FATAL(atomic_file_open(path, &file) == CIUIC_OK);
    fputs("new", file.stream);
    fflush(file.stream);
    CHECK(access(path, F_OK) != 0, "the file is there before commit");
    CHECK(strncmp(file.temporary, path, strlen(path)) == 0, "%s is not beside %s", file.temporary, path);
    CHECK(atomic_file_commit(&file) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(holds("new"), "content differs");
    CHECK(temporary_folder_entries(&folder) == 1, "%zu entries", temporary_folder_entries(&folder));
    atomic_file_abort(&file);
    CHECK(holds("new"), "abort after commit did something");
    temporary_folder_remove(&folder);
}

static void replaces_or_leaves_alone(void)
{
    begin();
    write_bytes(path, "old", 3);
    atomic_file file;
    CU_ASSERT_FATAL(atomic_file_open(path, &file) == CIUIC_OK);
    fputs("new", file.stream);
    atomic_file_abort(&file);
    CHECK(holds("old") && temporary_folder_entries(&folder) == 1, "abort left something");
    CHECK(atomic_file_write(path, "newer", 5) == CIUIC_OK && holds("newer"), "%s", ciuic_last_error());
    CHECK(atomic_file_write(path, NULL, 0) == CIUIC_OK && holds(""), "%s", ciuic_last_error());
    temporary_folder_remove(&folder);
}

static void respects_the_umask(void)
{
    begin();
    const mode_t before = umask(027);
    CHECK(atomic_file_write(path, "x", 1) == CIUIC_OK, "%s", ciuic_last_error());
    umask(before);
    struct stat status;
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640, "mode %o", (unsigned)status.st_mode & 0777u);
    temporary_folder_remove(&folder);
}

/* A limit on file size makes write(2) fail as a full disk does; the stream's buffer hides that until it is flushed. */
static void full_disk_leaves_the_old_file(void)
{
    static char block[100000];
    static const size_t sizes[] = {100, 5000, sizeof block}; /* fails in fflush, in fflush after fwrite, in fwrite */
    begin();
    write_bytes(path, "old", 3);
    struct rlimit before, small;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        small = before;
        small.rlim_cur = 64;
        CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &small) == 0);
        const ciuic_status status = atomic_file_write(path, block, sizes[i]);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(status == CIUIC_ERROR_UNSUPPORTED, "%zu bytes: status %d", sizes[i], (int)status);
        CHECK(strncmp(ciuic_last_error(), path, strlen(path)) == 0, "%s", ciuic_last_error());
        CHECK(holds("old") && temporary_folder_entries(&folder) == 1, "%zu bytes: something was left", sizes[i]);
    }
    signal(SIGXFSZ, handler);
    temporary_folder_remove(&folder);
}

static void refuses_impossible_places(void)
{
    begin();
    /* Stands for every device: code that gets this wrong would replace it, so not a device that anyone needs. */
    char missing[TEST_PATH], below_file[TEST_PATH], pipe[TEST_PATH];
    struct stat after;
    CU_ASSERT_FATAL(mkfifo(temporary_path(&folder, "pipe", pipe), 0600) == 0);
    temporary_path(&folder, "missing/out", missing);
    write_bytes(path, "old", 3);
    temporary_path(&folder, "out/below", below_file);
    const struct {
        const char *path, *message;
    } table[] = {
        {folder.path, "is a folder; expected a regular file"},
        {pipe, "is a device, pipe or socket; expected a regular file"},
        {missing, "No such file or directory"},
        {below_file, "Not a directory"},
        {"", "the path is empty"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const ciuic_status status = atomic_file_write(table[i].path, "x", 1);
        CHECK(status == CIUIC_ERROR_INPUT, "%s: status %d", table[i].path, (int)status);
        CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
              table[i].message);
    }
    CHECK(stat(pipe, &after) == 0 && S_ISFIFO(after.st_mode), "the pipe was replaced");
    CHECK(holds("old") && temporary_folder_entries(&folder) == 2, "something was left");
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"appears at commit", appears_at_commit},
    {"replaces or leaves alone", replaces_or_leaves_alone},
    {"respects the umask", respects_the_umask},
    {"full disk leaves the old file", full_disk_leaves_the_old_file},
    {"refuses impossible places", refuses_impossible_places},
};
TEST_SUITE(atomic_file, cases);
