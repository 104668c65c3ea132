#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/control_client.h"
#include "console/manage.h"
#include "s3api/target.h"
#include "store/store.h"

#define ANSWER_MAX_BYTES (64UL * 1024 * 1024)
/* A server that starts has the lock some time before it has its socket. */
#define TRIES 30
#define TRY_MS 100

static int
open_directory(const char *dir, struct error *err)
{
	int fd;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return error_sys(err, errno, "the data directory %s", dir);
	if (faccessat(fd, "index", F_OK, 0) != 0 && errno == ENOENT) {
		(void)close(fd);
		return error_set(err, ERR_NOT_FOUND,
		    "there is no store in %s: name its directory with --data, "
		    "or "
		    "start `holdfast serve` on it first",
		    dir);
	}
	return fd;
}

/* A connection to the server; -2 when there is none. */
static int
reach_server(int dirfd, const char *dir, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	/* Shorter than the directory's own name may be. */
	snprintf(addr.sun_path, sizeof(addr.sun_path),
	    "/proc/self/fd/%d/control.sock", dirfd);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return error_sys(err, errno, "a unix socket");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED) {
		(void)close(fd);
		return -2;
	}
	(void)error_sys(err, errno,
	    "the server's control socket %s/control.sock (commands run as the "
	    "server's user, or as root)",
	    dir);
	(void)close(fd);
	return -1;
}

static int
receive(int fd, struct buffer *answer, struct error *err)
{
	ssize_t n;

	for (;;) {
		if (buffer_reserve(answer, 16384) != 0)
			return error_nomem(err);
		n = read(fd, answer->at + answer->len, 16384);
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "the server's answer");
		answer->len += (size_t)n;
		if (answer->len > ANSWER_MAX_BYTES)
			return error_set(err, ERR_TOO_LARGE,
			    "the server's answer is too large");
	}
}

/* A server that has gone is an error, not a signal. */
static int
send_all(int fd, const struct buffer *request, struct error *err)
{
	size_t done = 0;
	ssize_t n;

	while (done < request->len) {
		n = send(
		    fd, request->at + done, request->len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "sending a request");
		done += (size_t)n;
	}
	return 0;
}

/* Sends one request and reads to the end of the connection. */
static int
exchange(int fd, const char *method, const char *path, const char *body,
    struct buffer *answer, struct error *err)
{
	struct buffer request = BUFFER_INIT;
	size_t len = body == NULL ? 0 : strlen(body);
	int failed;

	buffer_printf(&request,
	    "%s %s HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    method, path, len);
	buffer_add(&request, body == NULL ? "" : body, len);
	if (request.failed)
		failed = error_nomem(err);
	else if (send_all(fd, &request, err) != 0)
		failed = error_add(err, "the server's control socket");
	else
		failed = receive(fd, answer, err);
	if (request.at != NULL)
		bytes_wipe(request.at, request.room);
	buffer_free(&request);
	return failed;
}

/* The status, and where the body begins; -1 and *err. */
static int
split_answer(const struct buffer *answer, struct slice *body, struct error *err)
{
	const char *end;
	uint64_t status;

	end = answer->len == 0 ? NULL
			       : memmem(answer->at, answer->len, "\r\n\r\n", 4);
	if (end == NULL || answer->len < 12 ||
	    memcmp(answer->at, "HTTP/1.1 ", 9) != 0 ||
	    parse_u64(answer->at + 9, 3, 100, 599, &status) != 0)
		return error_set(err, ERR_IO,
		    "the server ended the connection without an answer");
	body->at = end + 4;
	body->len = answer->len - (size_t)(body->at - answer->at);
	return (int)status;
}

static int
ask_server(int fd, const char *method, const char *path, const json_t *body,
    int *status, json_t **answer, struct error *err)
{
	struct buffer received = BUFFER_INIT;
	char *text = NULL;
	struct slice rest = SLICE_NULL;
	int failed = -1;

	if (body != NULL && (text = json_dumps(body, JSON_COMPACT)) == NULL) {
		(void)error_nomem(err);
		goto out;
	}
	if (exchange(fd, method, path, text, &received, err) != 0 ||
	    (*status = split_answer(&received, &rest, err)) < 0)
		goto out;
	*answer = rest.len == 0 ? NULL : json_loadb(rest.at, rest.len, 0, NULL);
	failed = 0;
out:
	if (received.at != NULL)
		bytes_wipe(received.at, received.room);
	buffer_free(&received);
	if (text != NULL)
		bytes_wipe(text, strlen(text));
	free(text);
	return failed;
}

static int
ask_store(const char *dir, const char *method, const char *path,
    const json_t *body, int *status, json_t **answer, struct error *err)
{
	struct store_options options = {
		.dir = dir, .readers = 4, .io_threads = 1
	};
	struct manage manage = { .bucket_name_valid = bucket_name_valid,
		.peer_uid = -1 };

	log_set_level(LOG_WARN);
	if ((manage.store = store_open(&options, err)) == NULL)
		return -1;
	*status = manage_json(
	    &manage, slice_text(method), slice_text(path), body, answer);
	store_close(manage.store);
	return 0;
}

static int
ask(const char *dir, int dirfd, const char *method, const char *path,
    const json_t *body, int *status, json_t **answer, struct error *err)
{
	static const struct timespec pause = { 0, TRY_MS * 1000000L };
	int fd, failed, i;

	for (i = 0; i < TRIES; i++) {
		if ((fd = reach_server(dirfd, dir, err)) == -1)
			return -1;
		if (fd >= 0) {
			failed = ask_server(
			    fd, method, path, body, status, answer, err);
			(void)close(fd);
			return failed;
		}
		if (ask_store(dir, method, path, body, status, answer, err) ==
		    0)
			return 0;
		if (err->kind != ERR_LOCKED)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return -1;
}

int
control_call(const char *dir, const char *method, const char *path,
    const json_t *body, json_t **answer, struct error *err)
{
	const char *sentence;
	int dirfd, status = 0, failed;

	*answer = NULL;
	if ((dirfd = open_directory(dir, err)) == -1)
		return -1;
	failed = ask(dir, dirfd, method, path, body, &status, answer, err);
	(void)close(dirfd);
	if (failed)
		return -1;
	if (status < 300)
		return 0;
	sentence = json_string_value(json_object_get(*answer, "error"));
	if (sentence == NULL)
		error_set(err, ERR_IO, "the server answered %d", status);
	else
		error_set(err,
		    status == 400       ? ERR_INVALID
			: status == 404 ? ERR_NOT_FOUND
			: status == 409 ? ERR_EXISTS
					: ERR_IO,
		    "%s", sentence);
	json_decref(*answer);
	*answer = NULL;
	return -1;
}

char *
control_path(const char *path, const char *name)
{
	size_t len = strlen(path), name_len = strlen(name);
	char *text;

	if ((text = malloc(len + 3 * name_len + 1)) == NULL)
		return NULL;
	memcpy(text, path, len);
	uri_encode(name, name_len, 0, text + len);
	return text;
}
