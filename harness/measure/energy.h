/* energy.h - joules that the processor's packages took, by the kernel's powercap (RAPL on x86), where it may be read.
 *
 * They are the whole machine's: of an idle one they are what the work costs and what idling costs. Memory outside the package
 * and the power supply are not in them. */
#ifndef CIUIC_ENERGY_H
#define CIUIC_ENERGY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

enum { ENERGY_PACKAGES_MAX = 16, ENERGY_REASON = 320 };

typedef struct energy_package {
    char file[320]; /* of microjoules, which begin again at `range` */
    uint64_t range, before;
} energy_package;

typedef struct energy_meter {
    energy_package packages[ENERGY_PACKAGES_MAX];
    int count;                  /* 0: cannot be read, */
    char reason[ENERGY_REASON]; /* because of this */
    double joules;              /* over all spans */
} energy_meter;

/* Looks for packages in root/sys/class/powercap; root "" is the machine itself. */
void energy_open(energy_meter *meter, const char *root);
/* Adds up what is used between start and stop. A counter that has begun again in between has done so once: a span is to be
 * shorter than that takes, a minute at least. A counter that cannot be read any more ends the meter, with the reason. */
void energy_start(energy_meter *meter);
void energy_stop(energy_meter *meter);
/* {"source": "powercap", "packages":, "joules": divided by repetitions} or {"source": null, "reason":}; NULL: out of memory. */
cJSON *energy_json(const energy_meter *meter, double repetitions);

#endif
