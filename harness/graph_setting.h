/* graph_setting.h - the setting of the graph stage as it is written: "off", "on", or the passes that run,
 * "fuse-qkv,absorb-mla", on the command line, in suites, in requests to workers and in results. */
#ifndef CIUIC_GRAPH_SETTING_H
#define CIUIC_GRAPH_SETTING_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* All passes, and an end. */
enum { GRAPH_SETTING_SIZE = 512 };

/* Reads `text` into options->graph and ->passes; all that run with "on", by name, are "on". A wrong name, or one given twice, is
 * the error `refusal` (of usage, or of input), which begins with `where` and lists what there is. */
ciuic_status graph_setting_parse(ciuic_status refusal, const char *where, const char *text, ciuic_options *options);
/* The canonical spelling: passes in the order in which they run. */
void graph_setting_name(const ciuic_options *options, char name[GRAPH_SETTING_SIZE]);

/* The member "graph" of requests and results: true, false, or the passes as a string. false when out of memory. */
bool graph_setting_add(cJSON *object, const ciuic_options *options);
ciuic_status graph_setting_read(const cJSON *object, const char *where, ciuic_options *options);

#endif
