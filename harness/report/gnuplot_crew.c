/* gnuplot_crew.c - shares of equal size, and another start behind every script that gnuplot fails at. */
#include "harness/report/gnuplot_crew.h"

#include "harness/suite/matrix.h"
#include "optimizer/error.h"

static size_t members_for(size_t count)
{
    const int threads = machine_threads();
    const size_t most = threads > CREW_MAX ? CREW_MAX : (size_t)threads;
    return count < most ? count : most;
}

void crew_start(gnuplot_crew *c, const char *directory, const gnuplot_script *scripts, size_t count)
{
    *c = (gnuplot_crew){.directory = directory, .scripts = scripts, .count = count, .members = members_for(count)};
    for (size_t m = 0; m < c->members; m++) {
        c->member[m].first = m * count / c->members;
        c->member[m].count = (m + 1) * count / c->members - c->member[m].first;
        /* One that could not be started is tried once more when it is waited for. */
        (void)gnuplot_start(&c->member[m].process, directory, scripts + c->member[m].first, c->member[m].count);
    }
}

/* One share, with as many starts as it takes. */
static ciuic_status finish_share(gnuplot_crew *c, gnuplot_process *p, size_t first, size_t count, char **outputs)
{
    ciuic_status worst = CIUIC_OK;
    for (size_t done = 0; done < count;) {
        size_t whole = 0;
        gnuplot_outcome outcome = GNUPLOT_ENDED;
        if (p->child <= 0 && c->hung) break;
        if (p->child <= 0) CIUIC_TRY(gnuplot_start(p, c->directory, c->scripts + first + done, count - done));
        const ciuic_status status = gnuplot_finish(p, outputs + first + done, &whole, &outcome);
        if (status != CIUIC_OK) worst = status;
        c->hung = c->hung || outcome == GNUPLOT_HUNG;
        if (outcome != GNUPLOT_AGAIN) break;
        done += whole + 1;
    }
    return worst;
}

bool crew_finish(gnuplot_crew *c, char **outputs, char *problem, size_t size)
{
    for (size_t i = 0; i < c->count; i++) outputs[i] = NULL;
    for (size_t m = 0; m < c->members; m++)
        if (finish_share(c, &c->member[m].process, c->member[m].first, c->member[m].count, outputs) != CIUIC_OK)
            snprintf(problem, size, "%s", ciuic_last_error());
    const bool hung = c->hung;
    *c = (gnuplot_crew){0};
    return hung;
}
