#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/credentials.h"
#include "cli/options.h"
#include "console/pair.h"

#define ACCESS_KEY_NAME "aws_access_key_id"
#define SECRET_KEY_NAME "aws_secret_access_key"

static int
take_pair(struct credentials *pair, const char *from, const char *access_key,
    const char *secret, struct error *err)
{
	if (pair_check(access_key, secret, err) != 0)
		return error_add(err, "%s", from);
	snprintf(pair->access_key, sizeof(pair->access_key), "%s", access_key);
	snprintf(pair->secret, sizeof(pair->secret), "%s", secret);
	return 0;
}

static const char *
find_in(const struct config *config, const char *name)
{
	const char *value = config_get(config, "default", name);

	return value != NULL ? value : config_get(config, "", name);
}

static int
read_pair(const char *path, struct credentials *pair, struct error *err)
{
	const char *access_key, *secret;
	struct config *config;
	int failed;

	if ((config = config_read(path, err)) == NULL)
		return -1;
	access_key = find_in(config, ACCESS_KEY_NAME);
	secret = find_in(config, SECRET_KEY_NAME);
	if (access_key == NULL || secret == NULL)
		failed = error_set(err, ERR_INVALID,
		    "%s: there is no %s: write one below [default]", path,
		    access_key == NULL ? ACCESS_KEY_NAME : SECRET_KEY_NAME);
	else
		failed = take_pair(pair, path, access_key, secret, err);
	config_free(config);
	return failed;
}

static int
make_pair(const char *path, struct credentials *pair, struct error *err)
{
	char text[512];
	int n, failed;

	pair_make_access_key(pair->access_key, sizeof(pair->access_key));
	pair_make_secret(pair->secret, sizeof(pair->secret));
	n = snprintf(text, sizeof(text),
	    "# The administrator's key pair, made at the first start.\n"
	    "[default]\n" ACCESS_KEY_NAME " = %s\n" SECRET_KEY_NAME " = %s\n",
	    pair->access_key, pair->secret);
	failed = file_write(path, text, (size_t)n, 0600, err);
	bytes_wipe(text, sizeof(text));
	pair->made = failed == 0;
	return failed;
}

int
credentials_find(
    const struct arguments *args, struct credentials *pair, struct error *err)
{
	const char *access_key = arguments_text(args, "access-key", 0);
	const char *secret = arguments_text(args, "secret-key", 0);
	const char *file = arguments_text(args, "credentials-file", 0);
	char path[4096];

	memset(pair, 0, sizeof(*pair));
	if ((access_key == NULL) != (secret == NULL))
		return error_set(err, ERR_INVALID,
		    "%s is set, and %s is not: set both, or neither",
		    access_key != NULL ? arguments_origin(args, "access-key")
				       : arguments_origin(args, "secret-key"),
		    access_key != NULL ? "HOLDFAST_SECRET_KEY"
				       : "HOLDFAST_ACCESS_KEY");
	if (access_key != NULL)
		return take_pair(pair, arguments_origin(args, "access-key"),
		    access_key, secret, err);
	if (file != NULL)
		return read_pair(file, pair, err);

	if ((size_t)snprintf(path, sizeof(path), "%s/credentials",
		arguments_text(args, "data", 0)) >= sizeof(path))
		return error_set(
		    err, ERR_INVALID, "--data: the name is too long");
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return read_pair(path, pair, err);
	return make_pair(path, pair, err);
}

void
credentials_wipe(struct credentials *pair)
{
	bytes_wipe(pair, sizeof(*pair));
}
