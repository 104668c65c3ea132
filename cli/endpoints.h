#ifndef CLI_ENDPOINTS_H
#define CLI_ENDPOINTS_H

#include <stddef.h>

struct admin;
struct arguments;
struct error;
struct http_server;
struct s3;
struct tls_context;

/* Where the server listens: for S3, for the admin port and for the control
 * socket. */

struct endpoints {
	struct http_server *server;
	struct s3 *s3;
	struct admin *admin;
	struct tls_context *tls; /* NULL: plain */
	int data_dirfd;          /* must stay open as long as the server */
};

/* Binds all of them. 0, or -1 and *err, which names the option. */
int endpoints_listen(
    const struct endpoints *, const struct arguments *, struct error *err);
/* Logs that they serve, each by its address with the port that it got. */
void endpoints_announce(const struct endpoints *, const struct arguments *);

#endif
