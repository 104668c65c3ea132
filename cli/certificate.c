#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/encode.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/certificate.h"
#include "cli/options.h"
#include "s3api/tls.h"

#define CA_MAX_BYTES (64 * 1024)

struct paths {
	char dir[4096], ca[4096], cert[4096], key[4096];
};

static int
self_signed(const struct arguments *args)
{
	return arguments_count(args, "tls-self-signed") > 0;
}

static int
find_paths(const struct arguments *args, struct paths *p, struct error *err)
{
	const char *data = arguments_text(args, "data", 0);

	if (strlen(data) + sizeof("/tls/server.pem") > sizeof(p->dir))
		return error_set(
		    err, ERR_INVALID, "--data: the name is too long");
	snprintf(p->dir, sizeof(p->dir), "%.4000s/tls", data);
	snprintf(p->ca, sizeof(p->ca), "%.4000s/tls/ca.pem", data);
	snprintf(p->cert, sizeof(p->cert), "%.4000s/tls/server.pem", data);
	snprintf(p->key, sizeof(p->key), "%.4000s/tls/server.key", data);
	return 0;
}

static void
add_name(char *names, size_t room, const char *name, size_t len)
{
	size_t used = strlen(names);

	if (used + len + 2 < room)
		snprintf(names + used, room - used, "%s%.*s",
		    used == 0 ? "" : ",", (int)len, name);
}

/* This host's names, and the addresses that it listens on but for "any". */
static void
usual_names(const struct arguments *args, char *names, size_t room)
{
	const char *address, *colon;
	char host[256];
	size_t i, len;

	names[0] = '\0';
	add_name(names, room, "localhost", strlen("localhost"));
	add_name(names, room, "127.0.0.1", strlen("127.0.0.1"));
	if (gethostname(host, sizeof(host)) == 0) {
		host[sizeof(host) - 1] = '\0';
		if (*host != '\0' && strcmp(host, "localhost") != 0)
			add_name(names, room, host, strlen(host));
	}
	for (i = 0; (address = arguments_text(args, "listen", i)) != NULL;
	     i++) {
		colon = strrchr(address, ':');
		len = (size_t)(colon - address);
		if (len >= 2 && address[0] == '[') {
			address++;
			len -= 2;
		}
		if (strncmp(address, "127.0.0.1:", 10) != 0 &&
		    strncmp(address, "0.0.0.0:", 8) != 0 &&
		    strncmp(address, "::]", 3) != 0)
			add_name(names, room, address, len);
	}
}

static int
make_self_signed(
    const struct arguments *args, const struct paths *p, struct error *err)
{
	const char *given = arguments_text(args, "tls-self-signed", 0);
	char names[2048];

	if (mkdir(p->dir, 0700) != 0 && errno != EEXIST)
		return error_sys(err, errno, "making %s", p->dir);
	if (*given == '\0') {
		usual_names(args, names, sizeof(names));
		given = names;
	}
	if (tls_self_signed(p->dir, given, err) != 0)
		return error_add(err, "--tls-self-signed");
	return 0;
}

/* As a file, and as the one word that Velero's caCert takes. */
static void
print_ca(const char *path)
{
	char *pem, *text;
	size_t len;

	if ((pem = file_read(path, CA_MAX_BYTES, &len, NULL)) == NULL)
		return;
	if ((text = malloc(BASE64_BYTES(len))) != NULL) {
		base64_encode(pem, len, text);
		printf("CA certificate: %s\ncaCert: %s\n", path, text);
		(void)fflush(stdout);
	}
	free(text);
	free(pem);
}

int
certificate_open(
    const struct arguments *args, struct tls_context **tls, struct error *err)
{
	const char *cert = arguments_text(args, "tls-cert", 0);
	const char *key = arguments_text(args, "tls-key", 0);
	struct paths p;

	*tls = NULL;
	if ((cert == NULL) != (key == NULL))
		return error_set(err, ERR_INVALID,
		    "--tls-%s is given without --tls-%s: give both",
		    cert != NULL ? "cert" : "key",
		    cert != NULL ? "key" : "cert");
	if (cert != NULL && self_signed(args))
		return error_set(err, ERR_INVALID,
		    "--tls-self-signed and --tls-cert are given: choose one");
	if (cert == NULL && !self_signed(args))
		return 0;
	if (self_signed(args)) {
		if (find_paths(args, &p, err) != 0 ||
		    make_self_signed(args, &p, err) != 0)
			return -1;
		cert = p.cert;
		key = p.key;
		print_ca(p.ca);
	}
	*tls = tls_context_new(cert, key, err);
	return *tls == NULL ? -1 : 0;
}

void
certificate_refresh(
    const struct arguments *args, struct tls_context *tls, int force)
{
	struct error err = ERROR_INIT;
	struct paths p;

	if (tls == NULL)
		return;
	if (self_signed(args) &&
	    (find_paths(args, &p, &err) != 0 ||
		make_self_signed(args, &p, &err) != 0)) {
		log_line(LOG_ERROR, "tls.renew",
		    "the certificate could not be renewed: %s", err.text);
		return;
	}
	switch (tls_context_reload(tls, force, &err)) {
	case 1:
		log_fields(LOG_INFO, "tls.reload",
		    "the TLS certificate was read",
		    (const struct log_field[]){
			LOG_N("days_left", tls_context_days_left(tls)) },
		    1);
		break;
	case 0:
		break;
	default:
		log_line(LOG_ERROR, "tls.reload",
		    "the TLS certificate could not be read again, the old one "
		    "stays in use: %s",
		    err.text);
		break;
	}
}

long
certificate_days(void *tls)
{
	return tls_context_days_left(tls);
}
