#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"
#include "replicator/destination.h"
#include "replicator/fields.h"
#include "replicator/http_client.h"

struct destination {
	const struct destination_protocol *protocol;
	void *shared;
	/* What the sessions' clients are made with. */
	struct http_trust *trust;
	char *proxy, *resolve;
	uint64_t bytes_per_second;
};

struct destination_session {
	const struct destination_protocol *protocol;
	struct http_client_settings settings;
	struct http_client *http;
	void *call;
};

static const struct destination_protocol *
protocol_of(enum provider provider)
{
	switch (provider) {
	case PROVIDER_AWS:
	case PROVIDER_S3:
		return &destination_s3;
	case PROVIDER_GOOGLE:
		return &destination_google;
	case PROVIDER_AZURE:
		return &destination_azure;
	}
	return NULL;
}

static int
check_proxy(const char *proxy, struct error *err)
{
	static const char *const schemes[] = { "http://", "https://",
		"socks5://", "socks5h://" };
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(proxy, schemes[i], strlen(schemes[i])) == 0)
			return 0;
	return error_set(err, ERR_INVALID,
	    "proxy: write it as http://host:port, or with a name and password "
	    "as http://name:password@host:port");
}

struct destination *
destination_open(const struct destination_fields *fields, struct error *err)
{
	struct destination *d;

	if ((d = calloc(1, sizeof(*d))) == NULL) {
		error_nomem(err);
		goto fail;
	}
	if ((d->protocol = protocol_of(fields->provider)) == NULL) {
		error_set(err, ERR_INVALID,
		    "provider: it is one of aws, google, azure and s3");
		goto fail;
	}
	if (field_copy(&d->proxy, fields->proxy, err) != 0 ||
	    field_copy(&d->resolve, fields->resolve, err) != 0 ||
	    (d->proxy != NULL && check_proxy(d->proxy, err) != 0))
		goto fail;
	d->bytes_per_second = fields->bytes_per_second;
	if ((d->trust = http_trust_new(fields->ca_cert, err)) == NULL ||
	    (d->shared = d->protocol->open(fields, err)) == NULL)
		goto fail;
	return d;

fail:
	destination_close(d);
	return NULL;
}

void
destination_close(struct destination *d)
{
	if (d == NULL)
		return;
	if (d->shared != NULL)
		d->protocol->close(d->shared);
	http_trust_free(d->trust);
	free(d->proxy);
	free(d->resolve);
	free(d);
}

const struct destination_protocol *
destination_table(const struct destination *d)
{
	return d->protocol;
}

void
destination_limits(const struct destination *d, struct destination_limits *l)
{
	memset(l, 0, sizeof(*l));
	d->protocol->limits(d->shared, l);
}

int64_t
destination_clock_offset_ms(const struct destination *d)
{
	return d->protocol->clock_offset_ms(d->shared);
}

int
destination_check_key(
    const struct destination *d, struct slice key, struct fault *fault)
{
	return d->protocol->check_key(d->shared, key, fault);
}

void
destination_learnt(const struct destination *d, char text[REMOTE_LEARNT_BYTES])
{
	text[0] = '\0';
	if (d->protocol->learnt != NULL)
		d->protocol->learnt(d->shared, text, REMOTE_LEARNT_BYTES);
}

void
destination_recall(enum provider provider, const char *text)
{
	const struct destination_protocol *protocol = protocol_of(provider);

	if (protocol != NULL && protocol->recall != NULL)
		protocol->recall(text);
}

struct destination_session *
destination_session_new(
    struct destination *d, int (*stopped)(void *), void *arg, struct error *err)
{
	struct destination_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		error_nomem(err);
		goto fail;
	}
	s->protocol = d->protocol;
	s->settings = (struct http_client_settings){
		.proxy = d->proxy,
		.trust = d->trust,
		.bytes_per_second = d->bytes_per_second,
		.resolve = d->resolve,
		.stopped = stopped,
		.stopped_arg = arg,
	};
	if ((s->http = http_client_new(&s->settings, err)) == NULL)
		goto fail;
	if ((s->call = d->protocol->session(d->shared, s->http)) == NULL) {
		error_nomem(err);
		goto fail;
	}
	return s;

fail:
	destination_session_free(s);
	return NULL;
}

void
destination_session_join(
    struct destination_session *s, struct http_group *group)
{
	http_client_join(s->http, group);
}

void
destination_session_free(struct destination_session *s)
{
	if (s == NULL)
		return;
	if (s->call != NULL)
		s->protocol->session_close(s->call);
	http_client_free(s->http);
	free(s);
}

void *
destination_call(struct destination_session *s)
{
	return s->call;
}

int
remote_crc32c_parse(struct slice text, uint32_t *crc32c)
{
	uint8_t bytes[4];

	if (text.len != 8 || hex_decode(text.at, 8, bytes, sizeof(bytes)) != 0)
		return -1;
	*crc32c = be32_get(bytes);
	return 0;
}
