// gbench_shim.cc - see gbench_shim.h. Facts about libbenchmark 1.7.1 that shape this file: a registered benchmark can be run
// again and again as long as Shutdown() is never called; leaving the timing loop early aborts the process, so a body that
// failed is skipped, not broken out of; names come back decorated, so nothing is looked up by name.
#include "harness/measure/gbench_shim.h"

#include <benchmark/benchmark.h>

#include <cmath>

namespace
{

class RunCollector : public benchmark::BenchmarkReporter
{
  public:
    bool ReportContext(const Context &) override
    {
        return true; // and nothing printed: stdout belongs to the caller
    }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &run : runs) {
            if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
            reported++;
            real_s = run.real_accumulated_time;
            cpu_s = run.cpu_accumulated_time;
            iterations = run.iterations;
        }
    }
    int reported = 0;
    double real_s = 0, cpu_s = 0;
    benchmark::IterationCount iterations = 0;
};

} // namespace

extern "C" bool gbench_run(size_t iterations, gbench_body *body, void *context, gbench_time *time)
{
    try {
        bool failed = false;
        RunCollector collector;
        benchmark::ClearRegisteredBenchmarks();
        benchmark::RegisterBenchmark("case",
                                     [&](benchmark::State &state) {
                                         for (auto _ : state)
                                             if (!failed && !body(context)) failed = true;
                                     })
            ->Iterations(static_cast<benchmark::IterationCount>(iterations))
            ->Repetitions(1)
            ->MeasureProcessCPUTime()
            ->UseRealTime();
        benchmark::RunSpecifiedBenchmarks(&collector, "case");
        benchmark::ClearRegisteredBenchmarks(); // the body's references die with this frame
        if (failed || collector.reported != 1 || collector.iterations < 1) return false;
        const double count = static_cast<double>(collector.iterations);
        time->real_s = collector.real_s / count;
        time->cpu_s = collector.cpu_s / count;
        time->iterations = static_cast<size_t>(collector.iterations);
        return true;
    } catch (...) {
        return false;
    }
}
