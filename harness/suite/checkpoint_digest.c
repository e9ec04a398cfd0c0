/* checkpoint_digest.c - see checkpoint_digest.h. */
#include "harness/suite/checkpoint_digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

static const size_t whole_file_max = (size_t)1 << 30;

/* The 8 bytes of length and the header itself; checkpoint_open has found both sound. */
static ciuic_status digest_header(const char *path, sha256_hex *out)
{
    unsigned char prefix[8];
    size_t bytes = 0;
    unsigned char *header = NULL;
    FILE *file = fopen(path, "re");
    ciuic_status status = CIUIC_OK;
    if (file == NULL || fread(prefix, 1, sizeof prefix, file) != sizeof prefix) {
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: its header cannot be read: %s", path, strerror(errno));
        goto cleanup;
    }
    for (size_t i = sizeof prefix; i-- > 0;) bytes = bytes << 8 | prefix[i];
    header = bytes <= whole_file_max ? malloc(sizeof prefix + bytes) : NULL;
    if (header == NULL) {
        status = ciuic_fail_memory("a checkpoint's header", bytes);
        goto cleanup;
    }
    memcpy(header, prefix, sizeof prefix);
    if (fread(header + sizeof prefix, 1, bytes, file) != bytes) {
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: its header cannot be read: %s", path, strerror(errno));
        goto cleanup;
    }
    *out = sha256_data(header, sizeof prefix + bytes);
cleanup:
    if (file != NULL) fclose(file);
    free(header);
    return status;
}

/* Adds the file unless it is listed already. */
static ciuic_status add_file(cJSON *files, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const cJSON *known = NULL;
    cJSON_ArrayForEach(known, files)
    {
        const cJSON *file = json_find(known, "file");
        if (cJSON_IsString(file) && strcmp(file->valuestring, name) == 0) return CIUIC_OK;
    }
    struct stat status;
    sha256_hex digest;
    if (stat(path, &status) != 0 || status.st_size < 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    const size_t bytes = (size_t)status.st_size;
    const bool whole = bytes <= whole_file_max;
    CIUIC_TRY(whole ? sha256_file(path, &digest) : digest_header(path, &digest));
    cJSON *item = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(files, item) || cJSON_AddStringToObject(item, "file", name) == NULL ||
        !json_add_size(item, "bytes", bytes) || cJSON_AddStringToObject(item, "sha256", digest.text) == NULL ||
        cJSON_AddStringToObject(item, "covers", whole ? "file" : "header") == NULL)
        return ciuic_fail_memory("a checkpoint's digest", 0);
    return CIUIC_OK;
}

static ciuic_status add_beside(cJSON *files, const char *folder, const char *name, bool required)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) return ciuic_fail_memory("a path", strlen(folder));
    const ciuic_status status = required || access(path, F_OK) == 0 ? add_file(files, path) : CIUIC_OK;
    free(path);
    return status;
}

static ciuic_status add_files(cJSON *files, const checkpoint *c)
{
    CIUIC_TRY(add_beside(files, checkpoint_path(c), "config.json", true));
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const char *path = checkpoint_at(c, i)->file;
        if (i == 0 || strcmp(path, checkpoint_at(c, i - 1)->file) != 0) CIUIC_TRY(add_file(files, path));
    }
    return add_beside(files, checkpoint_path(c), "streams.safetensors", false);
}

/* The files, and the digest of their description. */
static ciuic_status digest(const checkpoint *c, cJSON **described, sha256_hex *out)
{
    cJSON *files = cJSON_CreateArray();
    ciuic_status status = files != NULL ? add_files(files, c) : ciuic_fail_memory("a checkpoint's digest", 0);
    char *text = status == CIUIC_OK ? cJSON_PrintUnformatted(files) : NULL;
    if (status == CIUIC_OK && text == NULL) status = ciuic_fail_memory("a checkpoint's digest", 0);
    if (status == CIUIC_OK) *out = sha256_data(text, strlen(text));
    cJSON_free(text);
    if (status == CIUIC_OK)
        *described = files;
    else
        cJSON_Delete(files);
    return status;
}

ciuic_status checkpoint_digest(const checkpoint *c, sha256_hex *out)
{
    cJSON *files = NULL;
    const ciuic_status status = digest(c, &files, out);
    cJSON_Delete(files);
    return status;
}

ciuic_status checkpoint_digest_folder(const char *path, sha256_hex *out)
{
    checkpoint *c = NULL;
    CIUIC_TRY(checkpoint_open(path, &c));
    const ciuic_status status = checkpoint_digest(c, out);
    checkpoint_release(c);
    return status;
}

static ciuic_status add_checkpoint(cJSON *list, const suite_checkpoint *described)
{
    checkpoint *c = NULL;
    cJSON *item = cJSON_CreateObject(), *files = NULL;
    sha256_hex of_all;
    if (!cJSON_AddItemToArray(list, item)) return ciuic_fail_memory("a checkpoint's digest", 0);
    CIUIC_TRY(checkpoint_open(described->path, &c));
    const ciuic_status status = digest(c, &files, &of_all);
    if (status == CIUIC_OK) {
        cJSON_AddStringToObject(item, "name", described->name);
        cJSON_AddStringToObject(item, "sha256", of_all.text);
        cJSON_AddItemToObject(item, "files", files);
    }
    checkpoint_release(c);
    return status;
}

ciuic_status checkpoint_digests(const suite *s, cJSON **out)
{
    cJSON *list = cJSON_CreateArray();
    ciuic_status status = list != NULL ? CIUIC_OK : ciuic_fail_memory("the checkpoints' digests", 0);
    for (size_t i = 0; status == CIUIC_OK && i < s->checkpoint_count; i++)
        status = add_checkpoint(list, &s->checkpoints[i]);
    if (status == CIUIC_OK)
        *out = list;
    else
        cJSON_Delete(list);
    return status;
}
