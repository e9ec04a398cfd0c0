/* temporary_folder.h - a folder for one test's files, and whole-file reading and writing; failures end the test. */
#ifndef CIUIC_TESTS_TEMPORARY_FOLDER_H
#define CIUIC_TESTS_TEMPORARY_FOLDER_H

#include <stddef.h>

enum { TEST_PATH = 512 };

typedef struct temporary_folder {
    char path[TEST_PATH];
} temporary_folder;

void temporary_folder_create(temporary_folder *folder);
void temporary_folder_remove(temporary_folder *folder); /* with everything in it */
/* Writes "folder/name" to out and returns out. */
const char *temporary_path(const temporary_folder *folder, const char *name, char out[TEST_PATH]);
/* Entries of the folder, "." and ".." not counted. */
size_t temporary_folder_entries(const temporary_folder *folder);

void write_bytes(const char *path, const void *data, size_t bytes);
/* The whole file, NUL-terminated; free with free. */
void *read_bytes(const char *path, size_t *bytes);
void copy_file(const char *from, const char *to);

/* xorshift64*: reproducible on every machine. https://doi.org/10.1145/2845077 */
unsigned long long random_next(unsigned long long *state);

#endif
