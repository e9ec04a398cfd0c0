/* setting.c - see setting.h. */
#include "optimizer/quantize/setting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

/* ---- settings --------------------------------------------------------------------------------------------------- */

const char *quantize_setting_name(const quantize_setting *s, char name[SETTING_NAME])
{
    if (!s->quantised) return "none";
    char group[12] = "";
    if (kernel_is_grouped(s->format) && s->group == 0)
        snprintf(group, sizeof group, "-row");
    else if (kernel_is_grouped(s->format) && s->group != KERNEL_GROUP)
        snprintf(group, sizeof group, "-g%u", (unsigned)s->group % 1000u);
    snprintf(name, SETTING_NAME, "%s%s%s", kernel_format_name(s->format), group, s->minimums ? "-asym" : "");
    return name;
}

/* Whether `text` begins with `word`, up to its end or a '-'; moves it past both, but not past a '-' that nothing follows. */
static bool take(const char **text, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0 || ((*text)[length] != '\0' && (*text)[length] != '-')) return false;
    *text += length;
    *text += (*text)[0] == '-' && (*text)[1] != '\0';
    return true;
}

bool quantize_setting_parse(const char *name, quantize_setting *s)
{
    static const kernel_format formats[] = {KERNEL_INT8, KERNEL_INT6,    KERNEL_INT5,   KERNEL_INT4,
                                            KERNEL_INT3, KERNEL_AFFINE8, KERNEL_AFFINE4};
    static const struct {
        const char *word;
        size_t group;
    } groups[] = {{"row", 0}, {"g32", 32}, {"g64", 64}, {"g128", 128}};
    quantize_setting found = {0};
    if (strcmp(name, "none") == 0) {
        *s = found;
        return true;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0] && !found.quantised; i++)
        if (take(&name, kernel_format_name(formats[i])))
            found = (quantize_setting){.quantised = true, .format = formats[i]};
    if (!found.quantised) return false;
    if (kernel_is_grouped(found.format)) {
        found.group = KERNEL_GROUP;
        for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
            if (take(&name, groups[i].word)) {
                found.group = groups[i].group;
                break;
            }
        found.minimums = take(&name, "asym");
    }
    if (*name != '\0') return false;
    *s = found;
    return true;
}

bool quantize_setting_by_groups(const quantize_setting *s)
{
    return s->quantised && kernel_is_grouped(s->format);
}

bool quantize_setting_equal(const quantize_setting *a, const quantize_setting *b)
{
    if (!a->quantised || !b->quantised) return a->quantised == b->quantised;
    return a->format == b->format && a->group == b->group && a->minimums == b->minimums;
}

size_t quantize_setting_bytes(const quantize_setting *s, size_t rows, size_t columns)
{
    const kernel_matrix m = {.format = s->format, .rows = rows, .columns = columns, .group = s->group};
    const size_t scales = kernel_row_scales(&m) * sizeof(uint16_t) * (s->minimums ? 2 : 1);
    return rows * (kernel_row_bytes(s->format, columns) + scales);
}

/* ---- recipes ---------------------------------------------------------------------------------------------------- */

void quantize_unit_name(const char *tensor, char unit[QUANTIZE_UNIT_NAME])
{
    static const char experts[] = ".experts.";
    const char *at = strstr(tensor, experts);
    const size_t head = at != NULL ? (size_t)(at - tensor) + sizeof experts - 1 : 0;
    const size_t digits = at != NULL ? strspn(tensor + head, "0123456789") : 0;
    if (digits > 0)
        snprintf(unit, QUANTIZE_UNIT_NAME, "%.*s*%s", (int)head, tensor, tensor + head + digits);
    else
        snprintf(unit, QUANTIZE_UNIT_NAME, "%s", tensor);
}

static int compare(const void *key, const void *entry)
{
    return strcmp(key, ((const recipe_entry *)entry)->unit);
}

static recipe_entry *find(const recipe *r, const char *unit)
{
    return r->count > 0 ? bsearch(unit, r->entries, r->count, sizeof *r->entries, compare) : NULL;
}

quantize_setting recipe_find(const recipe *r, const char *unit)
{
    char name[QUANTIZE_UNIT_NAME];
    quantize_unit_name(unit, name);
    const recipe_entry *e = find(r, name);
    return e != NULL ? e->setting : r->otherwise;
}

ciuic_status recipe_set(recipe *r, const char *unit, quantize_setting setting)
{
    char name[QUANTIZE_UNIT_NAME];
    quantize_unit_name(unit, name);
    recipe_entry *e = find(r, name);
    if (e != NULL) {
        e->setting = setting;
        return CIUIC_OK;
    }
    recipe_entry *grown = realloc(r->entries, (r->count + 1) * sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("a recipe", (r->count + 1) * sizeof *grown);
    r->entries = grown;
    size_t at = r->count++;
    for (; at > 0 && strcmp(grown[at - 1].unit, name) > 0; at--) grown[at] = grown[at - 1];
    grown[at] = (recipe_entry){.setting = setting};
    memcpy(grown[at].unit, name, sizeof name);
    return CIUIC_OK;
}

ciuic_status recipe_copy(const recipe *from, recipe *to)
{
    recipe copy = {.otherwise = from->otherwise, .count = from->count};
    if (from->count > 0) {
        copy.entries = malloc(from->count * sizeof *copy.entries);
        if (copy.entries == NULL) return ciuic_fail_memory("a recipe", from->count * sizeof *copy.entries);
        memcpy(copy.entries, from->entries, from->count * sizeof *copy.entries);
    }
    *to = copy;
    return CIUIC_OK;
}

void recipe_free(recipe *r)
{
    free(r->entries);
    *r = (recipe){0};
}
