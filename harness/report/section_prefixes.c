/* section_prefixes.c - the cases that kept beginnings of prompts: what that spared them, and that nothing is compared with them. */
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void section_prefixes(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},           {"Bound", true},   {"Kept", true},
                                          {"Prompts", true},         {"Found", true},   {"Tokens reused", true},
                                          {"Tokens computed", true}, {"Tokens/s", true}};
    static const char *const counts[] = {"lookups", "hits", "tokens_reused", "tokens_computed"};
    bool open = false;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        const cJSON *cache = json_find(c->json, "prefix_cache");
        char text[NUMBER];
        if (cache == NULL) continue;
        if (!open) {
            page_section(p, "prefixes", "Prompts whose beginnings were kept");
            page_text(
                p,
                "These cases use a cache of prompts' beginnings: a prompt that begins like an earlier one computes "
                "only "
                "the rest. Their tokens per second count the tokens that were not computed as well; so no ratio and no "
                "verdict about speed or memory sets them beside a case without such a cache.");
            page_table_begin(p, "What the cache of prefixes did, over all repetitions", columns, COUNT(columns), false);
        }
        open = true;
        page_cell(p, TONE_CODE, "%s", c->id);
        view_bytes(view_number(cache, "capacity"), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
        view_bytes(view_number(cache, "bytes"), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
        for (size_t k = 0; k < COUNT(counts); k++) {
            view_plain("%.0f", view_number(cache, counts[k]), text, sizeof text);
            page_cell(p, TONE_PLAIN, "%s", text);
        }
        view_plain("%.1f", view_number(c->json, "tokens_per_s"), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
    }
    if (open) page_table_end(p);
}
