/* temporary_folder.c - where tests put their files. */
#include "optimizer/tests/temporary_folder.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test whose own files cannot be written says nothing about the code. */
static void require(int condition, const char *what)
{
    if (condition) return;
    perror(what);
    abort();
}

void temporary_folder_create(temporary_folder *folder)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/ciuic-test-XXXXXX", root != NULL ? root : P_tmpdir);
    require(mkdtemp(folder->path) != NULL, folder->path);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void temporary_folder_remove(temporary_folder *folder)
{
    require(nftw(folder->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0, folder->path);
}

const char *temporary_path(const temporary_folder *folder, const char *name, char out[TEST_PATH])
{
    require(snprintf(out, TEST_PATH, "%s/%s", folder->path, name) < TEST_PATH, name);
    return out;
}

size_t temporary_folder_entries(const temporary_folder *folder)
{
    DIR *directory = opendir(folder->path);
    require(directory != NULL, folder->path);
    size_t entries = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return entries;
}

void write_bytes(const char *path, const void *data, size_t bytes)
{
    FILE *stream = fopen(path, "wb");
    require(stream != NULL, path);
    require(bytes == 0 || fwrite(data, 1, bytes, stream) == bytes, path);
    require(fclose(stream) == 0, path);
}

void *read_bytes(const char *path, size_t *bytes)
{
    FILE *stream = fopen(path, "rb");
    require(stream != NULL, path);
    require(fseek(stream, 0, SEEK_END) == 0, path);
    const long length = ftell(stream);
    require(length >= 0, path);
    rewind(stream);
    char *data = malloc((size_t)length + 1);
    require(data != NULL, path);
    require(fread(data, 1, (size_t)length, stream) == (size_t)length, path);
    fclose(stream);
    data[length] = '\0';
    *bytes = (size_t)length;
    return data;
}

void copy_file(const char *from, const char *to)
{
    size_t bytes = 0;
    void *data = read_bytes(from, &bytes);
    write_bytes(to, data, bytes);
    free(data);
}

unsigned long long random_next(unsigned long long *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}
