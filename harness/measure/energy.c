/* energy.c - see energy.h. */
#include "harness/measure/energy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/json.h"

/* A whole number of at most 19 digits on the first line; false with errno, 0 where the file holds none. */
static bool read_count(const char *path, uint64_t *count)
{
    char line[64];
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    const bool found = fgets(line, sizeof line, file) != NULL;
    const int error = errno;
    fclose(file);
    errno = found ? 0 : error;
    const size_t digits = found ? strspn(line, "0123456789") : 0;
    if (digits == 0 || digits > 19 || (line[digits] != '\n' && line[digits] != '\0')) return false;
    *count = strtoull(line, NULL, 10);
    return true;
}

static void give_up(energy_meter *m, const char *path)
{
    m->count = 0;
    snprintf(m->reason, sizeof m->reason, "not available here, because %.160s %s%.60s%s", path,
             errno != 0 ? "cannot be read: " : "holds no count", errno != 0 ? strerror(errno) : "",
             errno == EACCES ? " (only root may, since it tells of others' secrets)" : "");
}

/* "intel-rapl:0": a package, and not a part of one ("intel-rapl:0:1"); psys is the whole board, packages included. */
static bool is_package(const char *folder, const char *name)
{
    char path[320], line[64] = "";
    const char *colon = strchr(name, ':');
    if (strncmp(name, "intel-rapl:", 11) != 0 || strchr(colon + 1, ':') != NULL) return false;
    snprintf(path, sizeof path, "%.200s/%.80s/name", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    const bool named = fgets(line, sizeof line, file) != NULL && strncmp(line, "package", 7) == 0;
    fclose(file);
    return named;
}

static bool add_package(energy_meter *m, const char *folder, const char *name)
{
    char range[320];
    energy_package *p = &m->packages[m->count];
    snprintf(range, sizeof range, "%.200s/%.80s/max_energy_range_uj", folder, name);
    snprintf(p->file, sizeof p->file, "%.200s/%.80s/energy_uj", folder, name);
    errno = 0;
    if (!read_count(range, &p->range) || p->range == 0) {
        give_up(m, range);
        return false;
    }
    if (!read_count(p->file, &p->before)) {
        give_up(m, p->file);
        return false;
    }
    m->count++;
    return true;
}

void energy_open(energy_meter *meter, const char *root)
{
    char folder[200];
    *meter = (energy_meter){.reason = "not available here, because there is no RAPL in /sys/class/powercap (a virtual "
                                      "machine, or a kernel without it)"};
    if (snprintf(folder, sizeof folder, "%s/sys/class/powercap", root) >= (int)sizeof folder) return;
    DIR *entries = opendir(folder);
    for (const struct dirent *e = entries != NULL ? readdir(entries) : NULL; e != NULL; e = readdir(entries))
        if (meter->count < ENERGY_PACKAGES_MAX && is_package(folder, e->d_name) &&
            !add_package(meter, folder, e->d_name))
            break;
    if (entries != NULL) closedir(entries);
}

void energy_start(energy_meter *meter)
{
    for (int i = 0; i < meter->count; i++)
        if (!read_count(meter->packages[i].file, &meter->packages[i].before)) give_up(meter, meter->packages[i].file);
}

void energy_stop(energy_meter *meter)
{
    for (int i = 0; i < meter->count; i++) {
        const energy_package *p = &meter->packages[i];
        uint64_t now = 0;
        if (!read_count(p->file, &now)) {
            give_up(meter, p->file);
            return;
        }
        const uint64_t used = now >= p->before       ? now - p->before
                              : p->range > p->before ? p->range - p->before + now
                                                     : 0;
        meter->joules += 1e-6 * (double)used;
    }
}

cJSON *energy_json(const energy_meter *meter, double repetitions)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;
    if (ok && meter->count == 0)
        ok = cJSON_AddNullToObject(object, "source") != NULL &&
             cJSON_AddStringToObject(object, "reason", meter->reason) != NULL;
    else if (ok)
        ok = cJSON_AddStringToObject(object, "source", "powercap") != NULL &&
             json_add_size(object, "packages", (size_t)meter->count) &&
             json_add_double(object, "joules", meter->joules / repetitions);
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}
