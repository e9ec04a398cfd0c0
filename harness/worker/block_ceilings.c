/* block_ceilings.c - see block_ceilings.h. */
#include "harness/worker/block_ceilings.h"

#include <math.h>

#include "harness/measure/case_ceiling.h"
#include "kernels/ceiling.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* Of what the slot's worker said when it had loaded; 0 where it never did. */
static size_t bytes_of(const bench *b, size_t index, size_t slot)
{
    const cJSON *loaded = b->record->blocks[index].slots[slot].loaded;
    return loaded != NULL ? ceiling_buffer_bytes(loaded) : 0;
}

ciuic_status block_ceilings_measure(bench *b, size_t index)
{
    const bench_block *plan = &b->matrix->blocks[index];
    for (size_t i = 0; i < plan->slot_count; i++) {
        const size_t bytes = bytes_of(b, index, i);
        bool known = bytes == 0;
        for (size_t j = 0; j < i && !known; j++) known = bytes_of(b, index, j) == bytes;
        if (known) continue;
        progress_step(b->progress, "measuring the ceiling", bench_elapsed_s(b));
        double bandwidth = 0; /* the best of several short tries, since a disturbance lasts longer than a pass */
        for (int attempt = 0; attempt < 4; attempt++)
            bandwidth = fmax(bandwidth, ceiling_load_bandwidth(plan->threads, bytes, 0.02));
        if (!(bandwidth > 0)) continue;
        cJSON *entry = bench_entry("bandwidth");
        json_add_size(entry, "threads", (size_t)plan->threads);
        json_add_size(entry, "bytes", bytes);
        json_add_double(entry, "bytes_per_s", bandwidth);
        CIUIC_TRY(bench_note(b, entry));
    }
    return CIUIC_OK;
}
