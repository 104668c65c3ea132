#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/error.h"
#include "base/log.h"
#include "base/version.h"
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/credentials.h"
#include "cli/endpoints.h"
#include "cli/presets.h"
#include "cli/process.h"
#include "console/admin.h"
#include "replicator/replicator.h"
#include "s3api/s3.h"
#include "s3api/server.h"
#include "s3api/target.h"
#include "s3api/tls.h"
#include "store/store.h"

/*
 * The server. The main thread starts everything, then waits for signals and
 * does what is due each second, then ends everything in the opposite order. All
 * other threads have all signals blocked.
 */

#define CERTIFICATE_SECONDS 60
/* Beside connections: the index, files that are read and written, the rest. */
#define DESCRIPTORS_SPARE 512

struct serving {
	const struct arguments *args;
	struct store *store;
	struct tls_context *tls;
	struct http_server *server;
	struct s3 *s3;
	struct replicator *replicator;
	struct admin *admin;
	int data_dirfd;
	int access_fd;
	sigset_t signals;
};

static int
open_access_log(struct serving *s, struct error *err)
{
	const char *path = arguments_text(s->args, "access-log", 0);
	int fd;

	if (strcmp(path, "off") == 0)
		return 0;
	if (strcmp(path, "-") == 0) {
		log_access_open(STDOUT_FILENO);
		return 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd == -1)
		return error_sys(err, errno, "--access-log: %s", path);
	log_access_open(fd);
	if (s->access_fd != -1)
		(void)close(s->access_fd);
	s->access_fd = fd;
	return 0;
}

static void
set_log_level(const struct arguments *args)
{
	static const char *const names[] = { [LOG_DEBUG] = "debug",
		[LOG_INFO] = "info",
		[LOG_WARN] = "warn",
		[LOG_ERROR] = "error" };
	const char *wanted = arguments_text(args, "log-level", 0);
	int i;

	for (i = LOG_DEBUG; i <= LOG_ERROR; i++)
		if (strcmp(names[i], wanted) == 0)
			log_set_level((enum log_level)i);
}

/* "80%", "900GiB" or "off". */
static int
take_mark(const char *text, struct store_options *options, struct error *err)
{
	size_t len = strlen(text);
	uint64_t percent;

	if (strcmp(text, "off") == 0)
		return 0;
	if (len > 1 && text[len - 1] == '%' &&
	    parse_u64(text, len - 1, 1, 99, &percent) == 0) {
		options->tier_high_percent = (unsigned)percent;
		return 0;
	}
	if (parse_size(text, &options->tier_high_bytes) == 0 &&
	    options->tier_high_bytes > 0)
		return 0;
	return error_set(err, ERR_INVALID,
	    "--tier-high-water: \"%s\" is not a share of the disk (80%%), a "
	    "size (900GiB) or off",
	    text);
}

static int
open_store(struct serving *s, struct error *err)
{
	const struct arguments *args = s->args;
	struct store_options options = {
		.dir = arguments_text(args, "data", 0),
		.inline_max_bytes = arguments_number(args, "inline-max"),
		.reserve_bytes = arguments_number(args, "reserve"),
		.upload_max_age_ms = arguments_number(args, "upload-max-age"),
		.scrub_bytes_per_second = arguments_number(args, "scrub-rate"),
		.scrub_interval_ms = arguments_number(args, "scrub-interval"),
		.copy_interval_ms = arguments_number(args, "copy-interval"),
		.io_threads = (size_t)arguments_number(args, "io-threads"),
	};

	if (take_mark(
		arguments_text(args, "tier-high-water", 0), &options, err) != 0)
		return -1;
	if ((s->store = store_open(&options, err)) == NULL)
		return -1;
	s->data_dirfd = open(options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->data_dirfd == -1)
		return error_sys(err, errno, "%s", options.dir);
	return 0;
}

static int
make_server(struct serving *s, struct error *err)
{
	const struct arguments *args = s->args;
	struct http_limits limits = {
		.connections =
		    (size_t)arguments_number(args, "max-connections"),
		.head_timeout_ms = arguments_number(args, "head-timeout"),
		.idle_timeout_ms = arguments_number(args, "idle-timeout"),
		.min_bytes_per_second = arguments_number(args, "min-rate"),
		.stall_ms = arguments_number(args, "stall-timeout"),
	};

	if (process_descriptors() < limits.connections + DESCRIPTORS_SPARE)
		log_fields(LOG_WARN, "serve.limits",
		    "fewer files may be open (ulimit -n) than "
		    "--max-connections "
		    "needs",
		    (const struct log_field[]){
			LOG_N("limit", process_descriptors()) },
		    1);
	s->server = http_server_new(
	    (size_t)arguments_number(args, "threads"), &limits, err);
	return s->server == NULL ? -1 : 0;
}

/* Once. A journal keeps what it is told and has other readers, so it is told
 * only where the pair is. */
static void
show_pair(const char *dir, const struct credentials *pair)
{
	int journal = getenv("JOURNAL_STREAM") != NULL;

	printf("First start: the administrator's key pair was made. It is in "
	       "%s/credentials.\n",
	    dir);
	if (!journal)
		printf("access key: %s\nsecret key: %s\n", pair->access_key,
		    pair->secret);
	(void)fflush(stdout);
}

static int
make_replicator(struct serving *s, struct error *err)
{
	struct replicator_options options = {
		.dir = arguments_text(s->args, "data", 0),
		.audit_interval_ms =
		    arguments_number(s->args, "audit-interval"),
		.hold_ms = arguments_number(s->args, "hold-time"),
		.unordered = arguments_flag(s->args, "replicate-unordered"),
	};
	struct presets presets;

	if (presets_read(&presets, s->args, err) == 0) {
		options.presets = presets.presets;
		options.n_presets = presets.n;
		s->replicator = replicator_start(s->store, &options, err);
	}
	presets_free(&presets);
	return s->replicator == NULL ? -1 : 0;
}

static const char *
replication_status(void *replication, struct slice bucket, struct slice key,
    const struct object_record *object)
{
	return replicator_object_status(replication, bucket, key, object);
}

static int
make_door(struct serving *s, struct error *err)
{
	struct s3_options options = {
		.loops = http_server_loops(s->server),
		.domain = arguments_text(s->args, "domain", 0),
		.region = arguments_text(s->args, "region", 0),
		.replication_status = replication_status,
		.replication = s->replicator,
	};
	struct credentials pair;

	if (credentials_find(s->args, &pair, err) != 0)
		return -1;
	options.admin_access_key = pair.access_key;
	options.admin_secret = pair.secret;
	s->s3 = s3_new(&options, s->store, err);
	if (s->s3 != NULL && pair.made)
		show_pair(arguments_text(s->args, "data", 0), &pair);
	credentials_wipe(&pair);
	return s->s3 == NULL ? -1 : 0;
}

static void
door_metrics(void *door, struct buffer *out)
{
	s3_metrics(door, out);
}

static int
make_admin(struct serving *s, struct error *err)
{
	struct admin_sources sources = {
		.store = s->store,
		.server = s->server,
		.replicator = s->replicator,
		.door_metrics = door_metrics,
		.door = s->s3,
		.certificate_days = certificate_days,
		.certificate = s->tls,
		.bucket_name_valid = bucket_name_valid,
	};

	s->admin = admin_new(&sources, err);
	return s->admin == NULL ? -1 : 0;
}

static int
start(struct serving *s, struct error *err)
{
	char s3_address[512], admin_address[300];
	struct endpoints endpoints;

	if (open_access_log(s, err) != 0 || open_store(s, err) != 0 ||
	    certificate_open(s->args, &s->tls, err) != 0 ||
	    make_server(s, err) != 0 || make_replicator(s, err) != 0 ||
	    make_door(s, err) != 0 || make_admin(s, err) != 0)
		return -1;
	endpoints = (struct endpoints){ s->server, s->s3, s->admin, s->tls,
		s->data_dirfd };
	if (endpoints_listen(&endpoints, s->args, err) != 0)
		return -1;
	endpoints_addresses(&endpoints, s->args, s3_address, sizeof(s3_address),
	    admin_address, sizeof(admin_address));
	admin_set_addresses(s->admin, s3_address, admin_address);
	if (http_server_run(s->server, err) != 0)
		return -1;
	log_fields(LOG_INFO, "serve.ready", "ready",
	    (const struct log_field[]){ LOG_T("endpoint", s3_address),
		LOG_T("admin", admin_address),
		LOG_T("data", arguments_text(s->args, "data", 0)),
		LOG_T("version", HOLDFAST_VERSION) },
	    4);
	process_notify("READY=1");
	return 0;
}

static void
hang_up(struct serving *s)
{
	struct error err = ERROR_INIT;

	log_line(LOG_INFO, "serve.reload",
	    "SIGHUP: the TLS certificate and the access log are opened again");
	certificate_refresh(s->args, s->tls, 1);
	if (open_access_log(s, &err) != 0)
		log_line(LOG_ERROR, "serve.reload", "%s", err.text);
}

/* Until the server is told to end. */
static void
wait_for_end(struct serving *s)
{
	static const struct timespec second = { 1, 0 };
	uint64_t now, certificate_ms = clock_monotonic_ms();
	int signal;

	for (;;) {
		signal = sigtimedwait(&s->signals, NULL, &second);
		if (signal == SIGTERM || signal == SIGINT)
			break;
		if (signal == SIGHUP)
			hang_up(s);
		log_access_flush();
		log_report_dropped();
		process_relax();
		now = clock_monotonic_ms();
		if (now - certificate_ms >= CERTIFICATE_SECONDS * 1000) {
			certificate_ms = now;
			certificate_refresh(s->args, s->tls, 0);
		}
	}
	log_line(LOG_INFO, "serve.drain",
	    "%s: requests under way may end; a second signal ends at once",
	    signal == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void
end_at_once(int signal)
{
	_exit(128 + signal);
}

/* From now on the process may be ended by a signal, on this thread. */
static void
allow_end(const struct serving *s)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = end_at_once;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGHUP, &action, NULL);
	(void)pthread_sigmask(SIG_UNBLOCK, &s->signals, NULL);
}

static void
stop(struct serving *s)
{
	http_server_free(s->server);
	admin_free(s->admin);
	s3_free(s->s3);
	replicator_stop(s->replicator);
	tls_context_free(s->tls);
	if (s->store != NULL)
		store_close(s->store);
	if (s->data_dirfd != -1)
		(void)close(s->data_dirfd);
	log_access_flush();
	log_access_open(-1);
	if (s->access_fd != -1)
		(void)close(s->access_fd);
}

int
run_serve(struct arguments *args)
{
	struct serving s = { .args = args, .data_dirfd = -1, .access_fd = -1 };
	struct error err = ERROR_INIT;
	int failed;

	set_log_level(args);
	process_prepare(arguments_flag(args, "core-dumps"));
	(void)sigemptyset(&s.signals);
	(void)sigaddset(&s.signals, SIGTERM);
	(void)sigaddset(&s.signals, SIGINT);
	(void)sigaddset(&s.signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &s.signals, NULL);

	failed = start(&s, &err);
	if (failed) {
		allow_end(&s);
		log_line(LOG_ERROR, "serve.start", "%s", err.text);
	} else {
		wait_for_end(&s);
		process_notify("STOPPING=1");
		allow_end(&s);
		http_server_drain(
		    s.server, arguments_number(args, "drain-timeout"));
	}
	stop(&s);
	if (!failed)
		log_line(LOG_INFO, "serve.end", "stopped");
	if (!failed)
		return 0;
	return err.kind == ERR_INVALID ? EXIT_USAGE : 1;
}
