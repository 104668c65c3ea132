#include <string.h>

#include "base/config.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/destination_members.h"
#include "cli/presets.h"
#include "replicator/settings.h"

static const struct option *
find_option(const struct command *command, const char *name)
{
	size_t i;

	for (i = 0; i < command->n_options; i++)
		if (strcmp(command->options[i].name, name) == 0 &&
		    strcmp(name, "data") != 0)
			return &command->options[i];
	return NULL;
}

static int
add_setting(json_t *body, const struct command *command,
    const struct config *config, const struct config_setting *setting,
    struct error *err)
{
	const struct option *option = find_option(command, setting->name);

	if (option == NULL)
		return config_refuse(config, setting, err,
		    "there is no setting \"%s\" of a destination: `holdfast "
		    "help destination add` lists them",
		    setting->name);
	if (option_check(option, setting->name, setting->value, err) != 0 ||
	    destination_member(body, option, setting->value, err) != 0)
		return config_refuse(config, setting, err, "%s", err->text);
	return 0;
}

/* All settings of one section. */
static int
read_preset(struct presets *p, const struct config *config,
    const struct config_setting *first, struct error *err)
{
	char *words[] = { (char *)(uintptr_t) "destination",
		(char *)(uintptr_t) "add" };
	const struct config_setting *setting;
	const struct command *command;
	struct settings *settings;
	json_t *body = json_object();
	int taken, failed = 0;
	size_t i;

	command = command_find(2, words, &taken);
	for (i = 0; i < config_count(config) && !failed; i++) {
		setting = config_at(config, i);
		if (strcmp(setting->section, first->section) == 0)
			failed =
			    add_setting(body, command, config, setting, err);
	}
	if (!failed && json_object_get(body, "provider") == NULL)
		failed = config_refuse(config, first, err,
		    "[%s] needs a provider: aws, google, azure or s3",
		    first->section);
	settings = failed ? NULL : settings_parse(body, err);
	json_decref(body);
	if (settings == NULL)
		return -1;
	p->settings[p->n] = settings;
	p->presets[p->n].name = first->section + strlen(PRESET_SECTION);
	p->presets[p->n].fields = settings->fields;
	p->presets[p->n].policy = settings->policy;
	p->presets[p->n].take_over = settings->take_over;
	p->n++;
	return 0;
}

static int
is_read(const struct presets *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (strcmp(p->presets[i].name, name) == 0)
			return 1;
	return 0;
}

int
presets_read(struct presets *p, const struct arguments *args, struct error *err)
{
	const struct config_setting *setting;
	const char *name;
	size_t i;

	memset(p, 0, sizeof(*p));
	for (i = 0; args->config != NULL && i < config_count(args->config);
	     i++) {
		setting = config_at(args->config, i);
		if (strncmp(setting->section, PRESET_SECTION,
			strlen(PRESET_SECTION)) != 0)
			continue;
		name = setting->section + strlen(PRESET_SECTION);
		if (is_read(p, name))
			continue;
		if (strlen(name) == 0 || strlen(name) > 63 ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") !=
			strlen(name))
			return config_refuse(args->config, setting, err,
			    "a destination's name has 1 to 63 of the "
			    "characters a-z, 0-9, - and _");
		if (p->n == PRESETS_MAX)
			return config_refuse(args->config, setting, err,
			    "there are more than %d destinations", PRESETS_MAX);
		if (read_preset(p, args->config, setting, err) != 0)
			return -1;
	}
	return 0;
}

void
presets_free(struct presets *p)
{
	while (p->n > 0)
		settings_free(p->settings[--p->n]);
}
