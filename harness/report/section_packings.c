/* section_packings.c - the folders that packed variants were loaded from: what making them took, and what was checked. */
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_folder(page *p, const cJSON *folder)
{
    char text[NUMBER];
    const char *failed = view_text(folder, "failed", NULL);
    page_cell(p, TONE_PLAIN, "%s", view_text(folder, "checkpoint", "?"));
    page_cell(p, TONE_CODE, "%s", view_text(folder, "weights", "?"));
    view_bytes(view_number(folder, "bytes"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.2f", view_number(folder, "seconds"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.0f", view_number(folder, "weights_checked"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.0f", view_number(folder, "weights_unchecked"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    page_cell(p, failed != NULL ? TONE_PLAIN : TONE_CODE, "%.300s",
              failed != NULL ? failed : view_text(folder, "sha256", "not made"));
}

void section_packings(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Checkpoint", false}, {"Weights", false},        {"Size", true},
                                          {"Seconds", true},     {"Weights checked", true}, {"By calibration", true},
                                          {"SHA-256", false}};
    const cJSON *list = json_find(v->r->root, "packings"), *folder = NULL;
    if (!cJSON_IsArray(list) || list->child == NULL) return;
    page_section(p, "packings", "Folders that were quantised before");
    page_text(
        p, "Variants called packed are loaded from these folders, as after 'ciuic optimize' on another machine: what "
           "quantising takes is told here, and is in none of their figures. Each weight was made once more from the "
           "checkpoint and compared with the folder's, bit for bit, but for what calibration made; errors are against "
           "the checkpoint.");
    page_table_begin(p, "Packed folders", columns, COUNT(columns), false);
    cJSON_ArrayForEach(folder, list) put_folder(p, folder);
    page_table_end(p);
}
