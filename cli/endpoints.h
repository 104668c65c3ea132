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
/* Those of S3 and the admin port for people, each with the port that it got. */
void endpoints_addresses(const struct endpoints *, const struct arguments *,
    char *s3, size_t s3_room, char *admin, size_t admin_room);

#endif
