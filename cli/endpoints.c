#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/endpoints.h"
#include "cli/options.h"
#include "console/admin.h"
#include "s3api/s3.h"
#include "s3api/server.h"

/* Listeners are in this order: the S3 ones, the admin port, the control socket.
 */

static size_t
s3_count(const struct arguments *args)
{
	size_t n = arguments_count(args, "listen");

	return n > 0 ? n : 1;
}

static int
listen_s3(
    const struct endpoints *e, const struct arguments *args, struct error *err)
{
	struct http_listener listener = { .tls = e->tls,
		.handler = s3_handle,
		.context = e->s3,
		.refusal_body = s3_refusal_body };
	size_t i;

	for (i = 0; i < s3_count(args); i++) {
		listener.address = arguments_text(args, "listen", i);
		if (http_server_listen(e->server, &listener, err) != 0)
			return error_add(err, "--listen");
	}
	return 0;
}

int
endpoints_listen(
    const struct endpoints *e, const struct arguments *args, struct error *err)
{
	struct http_listener admin = { .address = arguments_text(
					   args, "admin-listen", 0),
		.handler = admin_handle,
		.context = e->admin };
	struct http_listener control = { .handler = control_handle,
		.context = e->admin };
	char path[64];

	if (listen_s3(e, args, err) != 0)
		return -1;
	if (http_server_listen(e->server, &admin, err) != 0)
		return error_add(err, "--admin-listen");
	/* A unix socket's path is at most 107 bytes long; a data directory's
	 * may be longer. */
	snprintf(path, sizeof(path), "unix:/proc/self/fd/%d/control.sock",
	    e->data_dirfd);
	control.address = path;
	if (http_server_listen(e->server, &control, err) != 0)
		return error_add(err, "the control socket");
	return 0;
}

/* The address as given, with the port that it got. */
static void
say_address(const struct endpoints *e, size_t n, const char *address,
    const char *scheme, char *text, size_t room)
{
	int host_len = (int)(strrchr(address, ':') - address);

	snprintf(text, room, "%s://%.*s:%d", scheme, host_len, address,
	    http_server_port(e->server, n));
}

void
endpoints_addresses(const struct endpoints *e, const struct arguments *args,
    char *s3, size_t s3_room, char *admin, size_t admin_room)
{
	size_t i, n = s3_count(args), len = 0;
	char one[300];

	s3[0] = '\0';
	for (i = 0; i < n && len < s3_room; i++) {
		say_address(e, i, arguments_text(args, "listen", i),
		    e->tls == NULL ? "http" : "https", one, sizeof(one));
		len += (size_t)snprintf(
		    s3 + len, s3_room - len, "%s%s", i == 0 ? "" : " ", one);
	}
	say_address(e, n, arguments_text(args, "admin-listen", 0), "http",
	    admin, admin_room);
}
