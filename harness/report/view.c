/* view.c - numbers, labels and tones as all parts of a report show them. */
#include <math.h>
#include <string.h>

#include "harness/plain_text.h"
#include "harness/report/sections.h"
#include "harness/shell_word.h"
#include "optimizer/json.h"

const char *view_text(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL ? text : otherwise;
}

double view_number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : NAN;
}

bool view_is_threads(const char *key)
{
    const size_t digits = strspn(key, "0123456789");
    return digits > 0 && digits <= 9 && key[digits] == '\0' && key[0] != '0';
}

void view_ratio(double value, double low, double high, char *text, size_t size)
{
    const char *format = fabs(value) < 100.0 ? "%.2fx (%.2f to %.2f)" : "%.0fx (%.0f to %.0f)";
    if (isnan(value))
        snprintf(text, size, "-");
    else if (isnan(low) || isnan(high))
        snprintf(text, size, "%.2fx (no interval)", value);
    else
        snprintf(text, size, format, value, low, high);
}

void view_plain(const char *format, double value, char *text, size_t size)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (isnan(value))
        snprintf(text, size, "-");
    else
        snprintf(text, size, format, value);
#pragma GCC diagnostic pop
}

void view_bytes(double bytes, char *text, size_t size)
{
    if (isnan(bytes))
        snprintf(text, size, "-");
    else if (bytes >= 1e9)
        snprintf(text, size, "%.2f GB", bytes / 1e9);
    else if (bytes >= 1e6)
        snprintf(text, size, "%.1f MB", bytes / 1e6);
    else
        snprintf(text, size, "%.1f kB", bytes / 1e3);
}

page_tone view_tone(const char *word)
{
    static const struct {
        const char *word;
        page_tone tone;
    } tones[] = {{"supported", TONE_YES},       {"yes", TONE_YES},         {"faster", TONE_YES},
                 {"refuted", TONE_NO},          {"no", TONE_NO},           {"slower", TONE_NO},
                 {"partly", TONE_PARTLY},       {"unclear", TONE_UNKNOWN}, {"not resolved", TONE_UNKNOWN},
                 {"inconclusive", TONE_UNKNOWN}};
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++)
        if (strcmp(word, tones[i].word) == 0) return tones[i].tone;
    return TONE_QUIET;
}

const result_case *view_case(const report_view *v, const char *id)
{
    return results_case(v->r, id);
}

bool view_command(const cJSON *root, char *text, size_t size)
{
    const cJSON *command = json_find(root, "command");
    const cJSON *word = cJSON_IsArray(command) ? command->child : NULL;
    bool whole = word != NULL;
    text[0] = '\0';
    /* What bench writes begins with its own name, without the program's. */
    if (whole && strcmp(cJSON_IsString(word) ? word->valuestring : "", "ciuic") != 0)
        whole = shell_word(text, size, "ciuic");
    for (; word != NULL && whole; word = word->next) {
        if (text[0] != '\0') plain_append(text, size, " ");
        whole = cJSON_IsString(word) && shell_word(text, size, word->valuestring);
    }
    if (!whole) text[0] = '\0';
    return whole;
}

void view_baseline(const report_view *v, const cJSON *verdict_json, char *text, size_t size)
{
    const char *name = view_text(verdict_json, "baseline", "");
    const result_case *base = view_case(v, view_text(verdict_json, "baseline_case", ""));
    const result_case *tuned = base != NULL ? v->r->groups[base->group].tuned : NULL;
    if (strcmp(name, "tuned") == 0 && base != tuned)
        snprintf(text, size, "tuned on %.40s", base->kernels);
    else
        snprintf(text, size, "%.40s", name);
}

void view_plot(page *p, const report_view *v, const char *kind, size_t group, const char *caption)
{
    const plot *found = plots_find(v->plots, kind, group);
    if (found != NULL) page_figure(p, found->svg, found->file, caption);
}

void view_group_heading(page *p, const report_view *v, size_t group)
{
    char label[LABEL];
    group_label(v->r, group, label, sizeof label);
    if (v->r->group_count > 1) page_heading(p, "%s", label);
}

enum { SHORT_TABLE = 40 };

bool view_shows(const page *p, const report_view *v, const result_case *c)
{
    return p->form == PAGE_HTML || v->r->case_count <= SHORT_TABLE || c->baseline != NULL || is_all_on(v->r, c);
}

void view_note_left_out(page *p, const report_view *v)
{
    if (p->form != PAGE_HTML && v->r->case_count > SHORT_TABLE)
        page_text(p,
                  "Of %zu cases the tables below show baselines and variants with every stage on; cases.csv has all.",
                  v->r->case_count);
}
