/* count.c - see count.h. */
#include "harness/worker/count.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/measure/counters_simulated.h"
#include "harness/worker/load.h"
#include "harness/worker/openblas.h"
#include "harness/worker/process.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static ciuic_status read_request(cJSON **request)
{
    char *text = malloc(WORKER_LINE_MAX);
    size_t used = 0;
    ssize_t n = 1;
    if (text == NULL) return ciuic_fail_memory("a request", WORKER_LINE_MAX);
    while (n > 0 && used < WORKER_LINE_MAX) {
        n = read(STDIN_FILENO, text + used, WORKER_LINE_MAX - used);
        if (n > 0) used += (size_t)n;
    }
    const ciuic_status status = json_parse(text, used, "request", request);
    free(text);
    return status;
}

static ciuic_status run_children(workload *work, pid_t children[COUNT_CHILDREN])
{
    for (int i = 0; i < COUNT_CHILDREN; i++) {
        int ended = 0;
        children[i] = fork();
        if (children[i] == 0) _exit(i == COUNT_CHILDREN - 1 && workload_run(work) != CIUIC_OK);
        if (children[i] < 0) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no process to count: %s", strerror(errno));
        while (waitpid(children[i], &ended, 0) < 0 && errno == EINTR) continue;
        if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
            return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "the repetition that was counted failed");
    }
    return CIUIC_OK;
}

static ciuic_status count(const load_request *r)
{
    ciuic_model *model = NULL;
    workload *work = NULL;
    run_need need;
    pid_t children[COUNT_CHILDREN];
    ciuic_status status = load_model(r, NULL, NULL, &need, &model);
    if (status == CIUIC_OK) status = workload_create(model, &r->spec, &work);
    if (status == CIUIC_OK) status = workload_run(work);
    if (status == CIUIC_OK) status = run_children(work, children);
    if (status == CIUIC_OK)
        printf("{\"output_sha256\":\"%s\",\"children\":[%d,%d,%d,%d]}\n", workload_output(work).text, (int)children[0],
               (int)children[1], (int)children[2], (int)children[3]);
    workload_free(work);
    ciuic_model_free(model);
    return status;
}

ciuic_status count_repetition(void)
{
    cJSON *request = NULL;
    load_request r;
    openblas_end_threads();
    CIUIC_TRY(read_request(&request));
    ciuic_status status = load_request_read(request, &r);
    if (status == CIUIC_OK && r.spec.threads != 1)
        status = ciuic_fail(CIUIC_ERROR_USAGE, "counting is of one thread, not of %d", r.spec.threads);
    if (status == CIUIC_OK) status = count(&r);
    cJSON_Delete(request);
    return status;
}
