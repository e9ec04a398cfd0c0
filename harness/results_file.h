/* results_file.h - results.json as gate and compare take it in: of this version, of the right form, not edited
 * since bench wrote it, and judged again from its samples. */
#ifndef CIUIC_RESULTS_FILE_H
#define CIUIC_RESULTS_FILE_H

#include <cjson/cJSON.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/results.h"

typedef struct results_file {
    char *path; /* of results.json itself, also where a folder was given */
    cJSON *root;
    content_state content; /* before judging, which wrote into root */
    result_set set;        /* of root; blocks[].noise_floor is set, for a lost twin to the worst of all */
} results_file;

/* `operand` is the file or the folder that holds results.json. Free with results_file_free, also after a failure. */
ciuic_status results_file_read(const char *operand, results_file *file);
/* The same from a parsed object, which came from `name`; takes `root` in any case. */
ciuic_status results_file_take(cJSON *root, const char *name, results_file *file);
/* The same of results that were edited, too: for an audit, which says so. */
ciuic_status results_file_take_any(cJSON *root, const char *name, results_file *file);
/* The parsed file alone, and its path; both are the caller's. */
ciuic_status results_file_load(const char *operand, char **path, cJSON **root);
/* A parsed file's version, form and digest, before anything writes into it. Members that earlier versions called otherwise
 * then get the name that they have now: machine.company is background_load. */
ciuic_status results_check(cJSON *root, const char *name, content_state *content);
/* judge_results by the claims in `root`; results that it refuses are named by `name`. */
ciuic_status results_judge(cJSON *root, const char *name);
void results_file_free(results_file *file);

#endif
