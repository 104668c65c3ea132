#ifndef CLI_PRESETS_H
#define CLI_PRESETS_H

#include "cli/options.h"
#include "replicator/replicator.h"

struct error;
struct settings;

/* The destinations of the configuration file: its sections [destination NAME],
 * with the options of `holdfast destination add` as settings. */
#define PRESETS_MAX 16
struct presets {
	struct replicator_preset presets[PRESETS_MAX];
	struct settings *settings[PRESETS_MAX];
	size_t n;
};

#define PRESET_SECTION "destination "

/* 0, or -1 and *err. presets_free() in every case; the texts are valid as long
 * as the arguments. */
int presets_read(struct presets *, const struct arguments *, struct error *);
void presets_free(struct presets *); /* wipes */

#endif
