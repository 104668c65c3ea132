#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/file.h"
#include "s3api/tls.h"

#define NAMES "backup.example, *.backup.example,10.1.2.3,::1"

static char dir[64];
static struct error err;

static const char *
in_dir(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static int
set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/holdfast-test.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "ca.pem", "ca.key", "server.pem",
		"server.key", "other" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(in_dir(names[i]));
	return rmdir(dir);
}

static char *
contents(const char *name)
{
	size_t len;
	char *text = file_read(in_dir(name), 65536, &len, &err);

	assert_non_null(text);
	return text;
}

static void
assert_same(const char *name, const char *before, int same)
{
	char *now = contents(name);

	assert_int_equal(strcmp(before, now) == 0, same);
	free(now);
}

static void
put_file(const char *name, const char *text)
{
	assert_int_equal(
	    file_write(in_dir(name), text, strlen(text), 0600, &err), 0);
}

/* One handshake over a socket pair: the client trusts ca.pem and asks for the
 * name (or IP address). What it was answered; NULL if it failed. */
struct handshake {
	struct tls_context *tls;
	int fd;
};

static void *
serve(void *arg)
{
	struct handshake *h = arg;
	SSL *ssl = tls_session_new(h->tls, h->fd);
	char byte;

	assert_non_null(ssl);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1)
		(void)SSL_write(ssl, &byte, 1);
	SSL_free(ssl);
	(void)close(h->fd);
	return NULL;
}

static SSL_CTX *
client_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	assert_int_equal(
	    SSL_CTX_load_verify_locations(ctx, in_dir("ca.pem"), NULL), 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return ctx;
}

static int
shake(struct tls_context *tls, SSL_CTX *ctx, const char *name,
    const char *address, char *version, size_t room)
{
	struct handshake h = { tls, -1 };
	pthread_t thread;
	int fds[2], ok;
	char byte = 'x';
	SSL *ssl;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	h.fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, &h), 0);
	ssl = SSL_new(ctx);
	assert_int_equal(SSL_set_fd(ssl, fds[0]), 1);
	if (name != NULL)
		assert_int_equal(SSL_set1_host(ssl, name), 1);
	if (address != NULL)
		assert_int_equal(
		    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address),
		    1);
	ok = SSL_connect(ssl) == 1 && SSL_write(ssl, &byte, 1) == 1 &&
	    SSL_read(ssl, &byte, 1) == 1;
	if (version != NULL)
		(void)snprintf(version, room, "%s", SSL_get_version(ssl));
	SSL_free(ssl);
	(void)close(fds[0]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return ok;
}

static struct tls_context *
context(void)
{
	struct tls_context *tls =
	    tls_context_new(in_dir("server.pem"), in_dir("server.key"), &err);

	assert_non_null(tls);
	return tls;
}

static void
a_made_certificate_is_trusted_for_its_names(void **state)
{
	struct tls_context *tls;
	SSL_CTX *ctx;
	struct stat st;
	char version[16];

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	assert_int_equal(stat(in_dir("server.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_dir("ca.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	tls = context();
	ctx = client_context();
	assert_in_range(tls_context_days_left(tls), 824, 825);
	assert_true(shake(tls, ctx, "backup.example", NULL, version, 16));
	assert_string_equal(version, "TLSv1.3");
	assert_true(shake(tls, ctx, "b.backup.example", NULL, NULL, 0));
	assert_true(shake(tls, ctx, NULL, "10.1.2.3", NULL, 0));
	assert_true(shake(tls, ctx, NULL, "::1", NULL, 0));
	assert_false(shake(tls, ctx, "other.example", NULL, NULL, 0));
	assert_false(shake(tls, ctx, NULL, "10.1.2.4", NULL, 0));
	SSL_CTX_free(ctx);
	tls_context_free(tls);
}

static void
tls_1_2_is_spoken_and_1_1_is_not(void **state)
{
	struct tls_context *tls;
	SSL_CTX *ctx;
	char version[16];

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	tls = context();
	ctx = client_context();
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	assert_true(shake(tls, ctx, NULL, NULL, version, 16));
	assert_string_equal(version, "TLSv1.2");
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	assert_false(shake(tls, ctx, NULL, NULL, NULL, 0));
	SSL_CTX_free(ctx);
	tls_context_free(tls);
}

static void
http_1_1_is_chosen_from_what_a_client_offers(void **state)
{
	static const unsigned char offer[] = "\x02h2\x08http/1.1";
	static const unsigned char only_h2[] = "\x02h2";
	struct tls_context *tls;
	SSL_CTX *ctx;

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	tls = context();
	ctx = client_context();
	assert_int_equal(
	    SSL_CTX_set_alpn_protos(ctx, offer, sizeof(offer) - 1), 0);
	assert_true(shake(tls, ctx, NULL, NULL, NULL, 0));
	assert_int_equal(
	    SSL_CTX_set_alpn_protos(ctx, only_h2, sizeof(only_h2) - 1), 0);
	assert_true(shake(tls, ctx, NULL, NULL, NULL, 0));
	SSL_CTX_free(ctx);
	tls_context_free(tls);
}

static void
what_is_valid_is_left_alone(void **state)
{
	char *ca, *cert, *key;

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	ca = contents("ca.pem");
	cert = contents("server.pem");
	key = contents("server.key");
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	assert_same("ca.pem", ca, 1);
	assert_same("server.pem", cert, 1);
	assert_same("server.key", key, 1);

	/* Even when the authority's key is kept elsewhere. */
	assert_int_equal(unlink(in_dir("ca.key")), 0);
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	assert_same("server.pem", cert, 1);
	free(ca);
	free(cert);
	free(key);
}

static void
other_names_get_a_new_certificate_under_the_same_authority(void **state)
{
	struct tls_context *tls;
	SSL_CTX *ctx;
	char *ca, *key;

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	ca = contents("ca.pem");
	key = contents("server.key");
	tls = context();
	assert_int_equal(tls_context_reload(tls, 0, &err), 0);
	assert_int_equal(tls_self_signed(dir, "new.example", &err), 0);
	assert_same("ca.pem", ca, 1);
	assert_same("server.key", key, 1);

	ctx = client_context();
	assert_true(shake(tls, ctx, "backup.example", NULL, NULL, 0));
	assert_false(shake(tls, ctx, "new.example", NULL, NULL, 0));
	assert_int_equal(tls_context_reload(tls, 0, &err), 1);
	assert_true(shake(tls, ctx, "new.example", NULL, NULL, 0));
	assert_false(shake(tls, ctx, "backup.example", NULL, NULL, 0));
	SSL_CTX_free(ctx);
	tls_context_free(tls);
	free(ca);
	free(key);
}

static void
a_failed_reload_keeps_the_old_certificate(void **state)
{
	struct tls_context *tls;
	SSL_CTX *ctx;

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	tls = context();
	ctx = client_context();
	put_file("server.pem", "not a certificate\n");
	assert_int_equal(tls_context_reload(tls, 0, &err), -1);
	assert_non_null(strstr(err.text, in_dir("server.pem")));
	assert_true(shake(tls, ctx, "backup.example", NULL, NULL, 0));
	assert_int_equal(unlink(in_dir("server.pem")), 0);
	assert_int_equal(tls_context_reload(tls, 0, &err), -1);
	assert_true(shake(tls, ctx, "backup.example", NULL, NULL, 0));
	SSL_CTX_free(ctx);
	tls_context_free(tls);
}

static void
an_error_names_the_file_and_the_remedy(void **state)
{
	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	assert_null(
	    tls_context_new(in_dir("other"), in_dir("server.key"), &err));
	assert_non_null(strstr(err.text, in_dir("other")));
	assert_null(
	    tls_context_new(in_dir("ca.pem"), in_dir("server.key"), &err));
	assert_non_null(strstr(err.text, "does not belong to"));
	assert_null(
	    tls_context_new(in_dir("server.pem"), in_dir("ca.pem"), &err));
	assert_non_null(strstr(err.text, "is not a private key"));

	/* An encrypted key is no reason to ask on the terminal. */
	put_file("other",
	    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	    "MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBA0Y7QRvgWgVbDuJ4kx\n"
	    "-----END ENCRYPTED PRIVATE KEY-----\n");
	assert_null(
	    tls_context_new(in_dir("server.pem"), in_dir("other"), &err));
	assert_non_null(strstr(err.text, "is not a private key"));
}

static void
an_authority_that_cannot_sign_is_not_replaced(void **state)
{
	char *ca;

	(void)state;
	assert_int_equal(tls_self_signed(dir, NAMES, &err), 0);
	ca = contents("ca.pem");
	assert_int_equal(unlink(in_dir("ca.key")), 0);
	assert_int_equal(tls_self_signed(dir, "new.example", &err), -1);
	assert_non_null(strstr(err.text, "ca.key"));
	assert_same("ca.pem", ca, 1);
	put_file("ca.key", "nonsense");
	assert_int_equal(tls_self_signed(dir, "new.example", &err), -1);
	assert_same("ca.pem", ca, 1);
	free(ca);
}

static void
names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", ",", "a b;c", "x/y",
		"DNS:a\nb" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tls_self_signed(dir, bad[i], &err), -1);
	assert_int_equal(access(in_dir("ca.pem"), F_OK), -1);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(a_made_certificate_is_trusted_for_its_names),
		IN_DIR(tls_1_2_is_spoken_and_1_1_is_not),
		IN_DIR(http_1_1_is_chosen_from_what_a_client_offers),
		IN_DIR(what_is_valid_is_left_alone),
		IN_DIR(
		    other_names_get_a_new_certificate_under_the_same_authority),
		IN_DIR(a_failed_reload_keeps_the_old_certificate),
		IN_DIR(an_error_names_the_file_and_the_remedy),
		IN_DIR(an_authority_that_cannot_sign_is_not_replaced),
		IN_DIR(names_that_are_none_are_refused),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
