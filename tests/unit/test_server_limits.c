#include "tests/unit/server_fixture.h"

/* Limits, addresses, and the end. */

static void
bounds_the_time_for_a_head(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c, *idle;
	struct answer a;
	uint64_t before = clock_monotonic_ms();

	(void)state;
	use_tls = 0;
	limits.head_timeout_ms = 200;
	limits.idle_timeout_ms = 600;
	start_with(&limits, NULL);
	c = client_new();
	idle = client_new();
	put(c, "GET / HT");
	assert_int_equal(get_head(c, &a), 0);
	assert_int_equal(a.status, 408);
	assert_true(clock_monotonic_ms() - before >= 200);
	get_bytes(c, "<408>The request's head did not come in time.", a.length);
	expect_end(c);
	expect_end(idle);
	assert_true(clock_monotonic_ms() - before >= 600);
	client_free(c);
	client_free(idle);
	stop();
}

static void
bounds_the_time_for_a_handshake(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c;

	limits.head_timeout_ms = 200;
	start_with(&limits, *state);
	use_tls = 0;
	port = tls_port;
	c = client_new();
	assert_int_equal(fill(c), 0);
	client_free(c);
	stop();
}

static void
bounds_how_slow_a_body_may_be(void **state)
{
	struct http_limits limits = http_limits_default;
	struct http_counters counters;
	struct client *c, *reader;

	(void)state;
	use_tls = 0;
	limits.stall_ms = 300;
	limits.min_bytes_per_second = 1000;
	start_with(&limits, NULL);

	/* A body that stops, and an answer that is not read. */
	c = client_new();
	reader = client_new();
	put(reader, GET("/pieces?20000000"));
	put(c, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\nab");
	expect(c, 400, "incomplete\n");
	expect_end(c);
	client_free(c);
	wait_for(&failures, 2);
	while (fill(reader) > 0)
		reader->at = reader->len;
	client_free(reader);
	http_server_counters(server, &counters);
	assert_int_equal(counters.timeouts, 2);
	stop();
}

static void
lets_a_body_that_is_fast_enough_take_its_time(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c;
	int i;

	(void)state;
	use_tls = 0;
	limits.stall_ms = 200;
	limits.min_bytes_per_second = 1000;
	start_with(&limits, NULL);
	c = client_new();
	put(c, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n");
	for (i = 0; i < 40; i++) {
		usleep(20000);
		assert_int_equal(put_bytes(c, big + i * 100, 100), 100);
	}
	expect_sum(c, 4000);
	client_free(c);
	stop();
}

static void
refuses_connections_beyond_the_limit(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c[4], *over;
	struct answer a;
	struct http_counters counters;
	int i;

	limits.connections = 4;
	for (use_tls = 0; use_tls < 2; use_tls++) {
		start_with(&limits, *state);
		for (i = 0; i < 4; i++) {
			c[i] = client_new();
			put(c[i], GET("/refuse"));
			expect(c[i], 403, "no\n");
		}
		over = client_new();
		put(over, GET("/hello"));
		assert_int_equal(get_head(over, &a), 0);
		assert_int_equal(a.status, 503);
		assert_non_null(strstr(a.head, "\r\nRetry-After: 1\r\n"));
		assert_non_null(strstr(a.head, "application/xml"));
		get_bytes(over, "<503>Too many connections", 25);
		client_free(over);
		for (i = 0; i < 4; i++) {
			put(c[i], GET("/refuse"));
			expect(c[i], 403, "no\n");
			client_free(c[i]);
		}
		http_server_counters(server, &counters);
		assert_int_equal(counters.refused, 1);
		assert_int_equal(counters.accepted, 5);
		/* There is room again, once the server has seen them go. */
		for (i = 0; i < 100; i++) {
			over = client_new();
			put(over, GET("/hello"));
			assert_int_equal(get_head(over, &a), 0);
			client_free(over);
			if (a.status == 200)
				break;
			usleep(10000);
		}
		assert_int_equal(a.status, 200);
		stop();
	}
}

static void
refuses_many_connections_beyond_the_limit(void **state)
{
	struct http_limits limits = http_limits_default;
	struct client *c, *over[80];
	struct http_counters counters;
	struct answer a;
	int i;

	(void)state;
	use_tls = 0;
	limits.connections = 1;
	start_with(&limits, NULL);
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	for (i = 0; i < 80; i++)
		over[i] = client_new();
	for (i = 0; i < 80; i++) {
		assert_int_equal(get_head(over[i], &a), 0);
		assert_int_equal(a.status, 503);
		get_bytes(over[i], "<503>Too many connections", 25);
	}
	for (i = 0; i < 80; i++)
		client_free(over[i]);
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);
	http_server_counters(server, &counters);
	assert_int_equal(counters.refused, 80);
	stop();
}

static void
refuses_when_descriptors_are_exhausted(void **state)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int taken[64], n = 0, ret;
	struct rlimit old, low;
	struct client *c, *over;
	struct answer a;

	(void)state;
	use_tls = 0;
	start();
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");

	/* This process is both client and server: the client's socket first,
	 * then every other descriptor. */
	over = calloc(1, sizeof(*over));
	assert_non_null(over);
	over->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_timeout(over->fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)over->fd + 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 64 && (taken[n] = dup(over->fd)) != -1)
		n++;
	assert_true(n < 64);

	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret = connect(over->fd, (struct sockaddr *)&addr, sizeof(addr));
	if (ret == 0)
		ret = get_head(over, &a);
	while (n > 0)
		(void)close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, 0);
	assert_int_equal(a.status, 503);
	client_free(over);

	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);
	over = client_new();
	put(over, GET("/refuse"));
	expect(over, 403, "no\n");
	client_free(over);
	stop();
}

static void
drains_what_has_begun(void **state)
{
	struct client *idle, *busy, *partial;
	struct answer a;
	pthread_t thread;

	(void)state;
	use_tls = 0;
	start();
	idle = client_new();
	put(idle, GET("/refuse"));
	expect(idle, 403, "no\n");
	busy = client_new();
	put(busy, GET("/hold"));
	partial = client_new();
	put(partial, "GET /refuse HTTP/1.1\r\n");
	wait_for(&held, 1);
	usleep(50000);

	assert_int_equal(pthread_create(&thread, NULL,
			     (void *(*)(void *))(void (*)(void))stop, NULL),
	    0);
	expect_end(idle);
	assert_int_equal(get_head(busy, &a), 0);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	get_bytes(busy, "later\n", 6);
	expect_end(busy);
	put(partial, "Host: h\r\n\r\n");
	expect(partial, 403, "no\n");
	expect_end(partial);
	assert_int_equal(pthread_join(thread, NULL), 0);
	client_free(idle);
	client_free(busy);
	client_free(partial);
}

static void
serves_what_was_sent_before_a_drain(void **state)
{
	struct client *c[40];
	int i;

	(void)state;
	use_tls = 0;
	start();
	for (i = 0; i < 40; i++)
		c[i] = client_new();
	for (i = 0; i < 40; i++)
		put(c[i], GET("/refuse"));
	stop();
	for (i = 0; i < 40; i++) {
		expect(c[i], 403, "no\n");
		expect_end(c[i]);
		client_free(c[i]);
	}
}

static void
ends_without_having_run(void **state)
{
	struct http_listener listener = { "127.0.0.1:0", NULL, handle, &server,
		NULL };
	struct error err = ERROR_INIT;
	struct client *c;

	(void)state;
	use_tls = 0;
	server = http_server_new(2, &http_limits_default, &err);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	port = http_server_port(server, 0);
	c = client_new();
	http_server_free(server);
	assert_int_equal(fill(c), -1);
	client_free(c);
}

static void
cuts_what_outlasts_a_drain(void **state)
{
	struct client *reader, *busy;
	struct http_counters counters;
	uint64_t before;

	(void)state;
	use_tls = 0;
	start();
	reader = client_new();
	put(reader, GET("/pieces?24000000"));
	assert_true(fill(reader) > 0);
	busy = client_new();
	put(busy, "PUT /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
	usleep(50000);
	before = clock_monotonic_ms();
	http_server_drain(server, 150);
	assert_true(clock_monotonic_ms() - before >= 140);
	assert_true(clock_monotonic_ms() - before < 3000);
	assert_int_equal(failures, 2);
	assert_int_equal(finals, 2);
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 0);
	assert_int_equal(fill(busy), -1);
	client_free(reader);
	client_free(busy);
	stop();
}

static void *
release_after_a_while(void *arg)
{
	usleep(400000);
	atomic_store(&release_held, 1);
	return arg;
}

static void
waits_for_handlers_even_after_a_drains_time(void **state)
{
	pthread_t thread;
	struct client *c;

	(void)state;
	use_tls = 0;
	start();
	c = client_new();
	put(c, GET("/hold-short"));
	wait_for(&held, 1);
	assert_int_equal(
	    pthread_create(&thread, NULL, release_after_a_while, NULL), 0);
	http_server_drain(server, 50);
	assert_int_equal(release_held, 1);
	assert_int_equal(failures, 1);
	assert_int_equal(fill(c), -1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	client_free(c);
	stop();
}

static void
listens_on_a_unix_socket(void **state)
{
	char path[] = "/tmp/holdfast-test.XXXXXX", address[64], name[48];
	struct http_listener listener = { address, NULL, handle, &server,
		NULL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	struct client *c;
	struct stat st;
	int stale;

	(void)state;
	use_tls = 0;
	assert_non_null(mkdtemp(path));
	(void)snprintf(name, sizeof(name), "%s/socket", path);
	(void)snprintf(address, sizeof(address), "unix:%s", name);
	memcpy(addr.sun_path, name, strlen(name) + 1);

	/* One is left from a server that was killed. */
	stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(stale, (struct sockaddr *)&addr, sizeof(addr)), 0);
	(void)close(stale);

	server = http_server_new(2, &http_limits_default, &err);
	workers = workers_start("test", 1, &err);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	assert_int_equal(http_server_run(server, &err), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* A second server leaves it alone. */
	struct http_server *second =
	    http_server_new(1, &http_limits_default, &err);
	assert_int_equal(http_server_listen(second, &listener, &err), -1);
	assert_int_equal(err.kind, ERR_LOCKED);
	http_server_free(second);

	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_timeout(c->fd);
	assert_int_equal(
	    connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	put(c, GET("/file?1000000"));
	struct answer a;
	assert_int_equal(get_head(c, &a), 0);
	get_bytes(c, big, 1000000);
	put(c, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(put_bytes(c, big, 5000000), 5000000);
	expect(c, 400, "There is no Host header.\n");
	expect_end(c);
	client_free(c);
	stop();
	assert_int_equal(stat(name, &st), -1);
	(void)rmdir(path);
}

static void
listens_on_ipv6_and_on_names(void **state)
{
	struct http_listener listener = { "localhost:0", NULL, handle, &server,
		NULL };
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct error err = ERROR_INIT;
	struct client *c;
	struct answer a;

	(void)state;
	use_tls = 0;
	workers = workers_start("test", 1, &err);
	server = http_server_new(2, &http_limits_default, &err);
	assert_int_equal(http_server_listen(server, &listener, &err), 0);
	listener.address = "[::1]:0";
	if (http_server_listen(server, &listener, &err) != 0) {
		http_server_free(server);
		workers_stop(workers);
		skip(); /* there is no IPv6 here */
	}
	assert_int_equal(http_server_run(server, &err), 0);

	port = http_server_port(server, 0);
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	client_free(c);

	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_timeout(c->fd);
	addr.sin6_port = htons((uint16_t)http_server_port(server, 1));
	assert_int_equal(
	    connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	put(c, GET("/hello"));
	assert_int_equal(get_head(c, &a), 0);
	assert_non_null(strstr(a.head, "\r\nX-Peer: [::1]:"));
	get_bytes(c, "hello\n", 6);
	client_free(c);
	stop();
}

static void
refuses_addresses_that_are_none_or_taken(void **state)
{
	static const char *const bad[] = { "", "9000", "127.0.0.1",
		"127.0.0.1:x", "127.0.0.1:65536", "::1:9000",
		"unix:", "no.such.host.invalid:1" };
	struct http_listener listener = { NULL, NULL, handle, &server, NULL };
	struct http_server *second;
	struct error err = ERROR_INIT;
	char address[32];
	size_t i;

	(void)state;
	use_tls = 0;
	start();
	second = http_server_new(2, &http_limits_default, &err);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		listener.address = bad[i];
		assert_int_equal(
		    http_server_listen(second, &listener, &err), -1);
		assert_true(err.text[0] != '\0');
	}
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	listener.address = address;
	assert_int_equal(http_server_listen(second, &listener, &err), -1);
	assert_int_equal(err.sys, EADDRINUSE);
	http_server_free(second);
	stop();
}

static void
counts_what_it_does(void **state)
{
	struct http_counters counters;
	struct client *c;

	(void)state;
	use_tls = 0;
	start();
	c = client_new();
	put(c, GET("/refuse"));
	expect(c, 403, "no\n");
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 1);
	http_server_drain(server, 1000);
	http_server_counters(server, &counters);
	assert_int_equal(counters.connections, 0);
	assert_int_equal(counters.accepted, 1);
	assert_int_equal(counters.requests, 1);
	assert_int_equal(counters.bytes_in, strlen(GET("/refuse")));
	assert_true(counters.bytes_out > 100);
	client_free(c);
	stop();
}

static void
reloads_a_certificate_while_serving(void **state)
{
	struct tls_context *tls = *state;
	struct error err = ERROR_INIT;
	struct client *before, *after;

	use_tls = 1;
	start_with(&http_limits_default, tls);
	before = client_new();
	put(before, GET("/refuse"));
	expect(before, 403, "no\n");
	assert_int_equal(tls_context_reload(tls, 1, &err), 1);
	after = client_new();
	put(after, GET("/refuse"));
	expect(after, 403, "no\n");
	put(before, GET("/refuse"));
	expect(before, 403, "no\n");
	client_free(before);
	client_free(after);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_the_time_for_a_head),
		cmocka_unit_test(bounds_the_time_for_a_handshake),
		cmocka_unit_test(bounds_how_slow_a_body_may_be),
		cmocka_unit_test(lets_a_body_that_is_fast_enough_take_its_time),
		cmocka_unit_test(refuses_connections_beyond_the_limit),
		cmocka_unit_test(refuses_many_connections_beyond_the_limit),
		cmocka_unit_test(refuses_when_descriptors_are_exhausted),
		cmocka_unit_test(drains_what_has_begun),
		cmocka_unit_test(serves_what_was_sent_before_a_drain),
		cmocka_unit_test(ends_without_having_run),
		cmocka_unit_test(cuts_what_outlasts_a_drain),
		cmocka_unit_test(waits_for_handlers_even_after_a_drains_time),
		cmocka_unit_test(listens_on_a_unix_socket),
		cmocka_unit_test(listens_on_ipv6_and_on_names),
		cmocka_unit_test(refuses_addresses_that_are_none_or_taken),
		cmocka_unit_test(counts_what_it_does),
		cmocka_unit_test(reloads_a_certificate_while_serving),
	};

	return cmocka_run_group_tests_name(
	    "server limits", tests, set_up, tear_down);
}
