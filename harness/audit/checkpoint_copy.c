/* checkpoint_copy.c - see checkpoint_copy.h. */
#include "harness/audit/checkpoint_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "harness/commands.h"
#include "optimizer/error.h"

enum { PATH_BYTES = 4400, PIECE = 1 << 22 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static ciuic_status fail_with_errno(const char *path, const char *what)
{
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: %s: %s", path, what, strerror(errno));
}

/* ---- links ------------------------------------------------------------------------------------------------------ */

static ciuic_status link_file(const char *from, const char *folder, const char *name)
{
    char target[PATH_BYTES], link[PATH_BYTES], real[PATH_MAX];
    snprintf(target, sizeof target, "%s/%s", from, name);
    snprintf(link, sizeof link, "%s/%s", folder, name);
    struct stat status;
    if (stat(target, &status) != 0 || !S_ISREG(status.st_mode) || realpath(target, real) == NULL) return CIUIC_OK;
    return symlink(real, link) == 0 ? CIUIC_OK : fail_with_errno(link, "cannot be made");
}

ciuic_status checkpoint_link(const char *from, const char *folder, const char *except)
{
    if (mkdir(folder, 0700) != 0) return fail_with_errno(folder, "cannot be made");
    DIR *files = opendir(from);
    if (files == NULL) return fail_with_errno(from, "cannot be read");
    ciuic_status status = CIUIC_OK;
    for (const struct dirent *e = readdir(files); e != NULL && status == CIUIC_OK; e = readdir(files))
        if (e->d_name[0] != '.' && (except == NULL || strcmp(e->d_name, except) != 0))
            status = link_file(from, folder, e->d_name);
    closedir(files);
    return status;
}

/* ---- copies ----------------------------------------------------------------------------------------------------- */

static ciuic_status copy_pieces(int from, int to, const char *path)
{
    char *piece = malloc(PIECE);
    ciuic_status status = piece != NULL ? CIUIC_OK : ciuic_fail_memory("a copy", PIECE);
    while (status == CIUIC_OK) {
        const ssize_t n = read(from, piece, PIECE);
        if (n == 0) break;
        if (n < 0 || write(to, piece, (size_t)n) != n) status = fail_with_errno(path, "cannot be copied");
        if (command_interrupted()) status = ciuic_fail(CIUIC_ERROR_INTERRUPTED, "audit: interrupted");
    }
    free(piece);
    return status;
}

/* In the place of the link. */
static ciuic_status copy_file(const char *path, const char *folder)
{
    char copy[PATH_BYTES];
    snprintf(copy, sizeof copy, "%s/%s", folder, base_name(path));
    unlink(copy);
    const int from = open(path, O_RDONLY | O_CLOEXEC), to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ciuic_status status =
        from >= 0 && to >= 0 ? copy_pieces(from, to, copy) : fail_with_errno(copy, "cannot be copied");
    if (from >= 0) close(from);
    if (to >= 0 && close(to) != 0 && status == CIUIC_OK) status = fail_with_errno(copy, "cannot be copied");
    return status;
}

/* Files are sorted in a checkpoint's tensors by name, not by file: each is copied once. */
static bool first_of_file(const checkpoint *c, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(checkpoint_at(c, i)->file, checkpoint_at(c, index)->file) == 0) return false;
    return true;
}

ciuic_status checkpoint_copy(const checkpoint *c, const char *folder)
{
    struct statvfs room;
    CIUIC_TRY(checkpoint_link(checkpoint_path(c), folder, NULL));
    const size_t bytes = checkpoint_file_bytes(c);
    if (statvfs(folder, &room) == 0 && (double)room.f_bavail * (double)room.f_frsize < 1.05 * (double)bytes)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: no room for a copy of the checkpoint, %zu bytes; set TMPDIR",
                          folder, bytes);
    for (size_t i = 0; i < checkpoint_count(c); i++)
        if (first_of_file(c, i)) CIUIC_TRY(copy_file(checkpoint_at(c, i)->file, folder));
    return CIUIC_OK;
}

/* ---- altering --------------------------------------------------------------------------------------------------- */

const char *layer_part_name(layer_part part)
{
    return part == LAYER_ATTENTION ? "attention" : "mlp";
}

/* Rows that lie within each other, as a panel of a quantised matrix has them, move together: less than a panel would put a
 * code where another column's, or the padding, is. 1 where rows lie one by one. */
static size_t panel_rows(const checkpoint *c, const tensor *t)
{
    char matrix[256];
    const size_t length = strlen(t->name) - strlen(".weight");
    snprintf(matrix, sizeof matrix, "%.*s", (int)length, t->name);
    const quantized_tensor *quantised = checkpoint_quantized_tensor(c, matrix);
    return quantised != NULL && quantised->interleave > 0 ? quantised->interleave : 1;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* Block scales, and the scales and minimums of quantised matrices, stay where they are: it is the codes that move. */
static bool is_part(const checkpoint *c, const tensor *t, size_t layer, layer_part part)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.layers.%zu.", layer);
    return t->dims == 2 && strncmp(t->name, prefix, strlen(prefix)) == 0 &&
           ends_with(t->name, part == LAYER_ATTENTION ? ".o_proj.weight" : ".down_proj.weight") &&
           t->shape[0] > panel_rows(c, t);
}

/* Data begins behind the header, with the tensor that comes first, and there are no holes. */
static ciuic_status find_offset(const checkpoint *c, const tensor *t, int file, off_t *offset)
{
    unsigned char prefix[8];
    const unsigned char *first = t->data;
    if (pread(file, prefix, sizeof prefix, 0) != (ssize_t)sizeof prefix)
        return fail_with_errno(t->file, "cannot be read");
    uint64_t header = 0;
    for (size_t i = sizeof prefix; i-- > 0;) header = header << 8 | prefix[i];
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *other = checkpoint_at(c, i);
        if (strcmp(other->file, t->file) == 0 && (const unsigned char *)other->data < first) first = other->data;
    }
    *offset = (off_t)(sizeof prefix + header) + ((const unsigned char *)t->data - first);
    return CIUIC_OK;
}

/* In as many writes as it takes: the kernel takes no more than 2 GiB at once. */
static bool write_all(int file, const unsigned char *data, size_t bytes, off_t at)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = pwrite(file, data + done, bytes - done, at + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* Row (or panel) r + 1 where r was; or, to restore, as they were. */
static ciuic_status write_rows(const checkpoint *c, const tensor *t, const char *folder, bool moved)
{
    char path[PATH_BYTES];
    off_t at = 0;
    snprintf(path, sizeof path, "%s/%s", folder, base_name(t->file));
    const int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW); /* the copy, never what a link leads to */
    if (file < 0) return fail_with_errno(path, "cannot be altered");
    ciuic_status status = find_offset(c, t, file, &at);
    const size_t step = moved ? t->bytes / t->shape[0] * panel_rows(c, t) : 0, rest = t->bytes - step;
    const unsigned char *data = t->data;
    if (status == CIUIC_OK &&
        !(write_all(file, data + step, rest, at) && write_all(file, data, step, at + (off_t)rest)))
        status = fail_with_errno(path, "cannot be altered");
    if (close(file) != 0 && status == CIUIC_OK) status = fail_with_errno(path, "cannot be altered");
    return status;
}

static ciuic_status write_part(const checkpoint *c, const char *folder, size_t layer, layer_part part, bool moved,
                               size_t *altered)
{
    *altered = 0;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        if (!checkpoint_uses(c, i) || !is_part(c, t, layer, part)) continue;
        CIUIC_TRY(write_rows(c, t, folder, moved));
        ++*altered;
    }
    return CIUIC_OK;
}

ciuic_status checkpoint_alter(const checkpoint *c, const char *folder, size_t layer, layer_part part, size_t *altered)
{
    return write_part(c, folder, layer, part, true, altered);
}

ciuic_status checkpoint_restore(const checkpoint *c, const char *folder, size_t layer, layer_part part)
{
    size_t restored = 0;
    return write_part(c, folder, layer, part, false, &restored);
}
