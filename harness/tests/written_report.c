/* written_report.c - see written_report.h. */
#include "harness/tests/written_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/report.h"
#include "harness/tests/program.h"
#include "optimizer/tests/runner.h"

char *read_in(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_text(path);
}

written write_pages(cJSON *results)
{
    written w = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(w.folder);
    const report_request all = {.directory = w.folder};
    w.status = report_write(results, "made-up.json", &all, &w.notice);
    w.html = read_in(w.folder, "index.html");
    w.markdown = read_in(w.folder, "report.md");
    return w;
}

void written_free(written *w)
{
    remove_tree(w->folder);
    free(w->html);
    free(w->markdown);
}

bool has(const char *text, const char *part)
{
    return text != NULL && strstr(text, part) != NULL;
}
