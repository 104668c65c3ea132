#include <sys/syscall.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "replicator/token_source.h"

/* The monotonic clock is ahead of the system's by that much. */
static time_t forward_s;

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_MONOTONIC)
		now->tv_sec += forward_s;
	return rc;
}

struct maker {
	int made, failing, freed;
	int64_t life_ms;
	long slow_ms;
};

static int
make(void *arg, struct http_client *http, struct token_answer *answer,
    struct fault *fault)
{
	struct maker *m = arg;
	struct timespec pause = { 0, m->slow_ms * 1000000 };

	(void)http;
	nanosleep(&pause, NULL);
	if (m->failing)
		return fault_set(fault, FAULT_RETRY, "no token today");
	buffer_printf(&answer->token, "t%d", ++m->made);
	answer->expires_ms = clock_wall_ms() + m->life_ms;
	return 0;
}

static void
forget(void *arg)
{
	((struct maker *)arg)->freed++;
}

static const struct token_methods methods = { make, forget };

static struct token_source *
source_of(struct maker *m)
{
	struct token_source *s =
	    token_source_new(&methods, m, "somebody", NULL);

	assert_non_null(s);
	return s;
}

static void
expect(struct token_source *s, const char *header)
{
	struct buffer b = BUFFER_INIT;
	struct fault fault = FAULT_INIT;

	assert_int_equal(token_get(s, NULL, &b, NULL, &fault), 0);
	buffer_add_u8(&b, '\0');
	assert_string_equal(b.at, header);
	buffer_free(&b);
}

static void
a_token_is_kept_while_it_is_fresh(void **state)
{
	struct maker m = { .life_ms = 3600 * 1000 };
	struct token_source *s = source_of(&m);

	(void)state;
	expect(s, "Bearer t1");
	expect(s, "Bearer t1");
	assert_string_equal(token_principal(s), "somebody");
	token_source_free(s);
	assert_int_equal(m.freed, 1);
}

static void
one_near_its_end_is_renewed_and_serves_when_that_fails(void **state)
{
	struct maker m = { .life_ms = 1500 };
	struct token_source *s = source_of(&m);
	struct timespec pause = { 0, 800 * 1000000 };
	struct buffer b = BUFFER_INIT;
	struct fault fault = FAULT_INIT;

	(void)state;
	expect(s, "Bearer t1");
	nanosleep(&pause, NULL);
	m.failing = 1;
	expect(s, "Bearer t1");
	m.failing = 0;
	nanosleep(&pause, NULL);
	expect(s, "Bearer t2");
	m.failing = 1;
	nanosleep(&pause, NULL);
	nanosleep(&pause, NULL);
	assert_int_equal(token_get(s, NULL, &b, NULL, &fault), -1);
	assert_string_equal(fault.text, "no token today");
	assert_int_equal(b.len, 0);
	token_source_free(s);
}

static void
a_refused_one_is_not_renewed_in_a_storm(void **state)
{
	struct maker m = { .life_ms = 3600 * 1000 };
	struct token_source *s = source_of(&m);

	(void)state;
	expect(s, "Bearer t1");
	token_refused(s, 1);
	expect(s, "Bearer t1");
	token_source_free(s);
}

static void
an_old_one_that_is_refused_does_not_discard_its_successor(void **state)
{
	struct maker m = { .life_ms = 3600 * 1000 };
	struct token_source *s = source_of(&m);
	struct fault fault = FAULT_INIT;
	struct buffer b = BUFFER_INIT;
	uint64_t first = 0, second = 0;

	(void)state;
	assert_int_equal(token_get(s, NULL, &b, &first, &fault), 0);
	forward_s += 6;
	token_refused(s, first);
	assert_int_equal(token_get(s, NULL, &b, &second, &fault), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(m.made, 2);
	/* Those that were sent with the first one are refused only now. */
	forward_s += 6;
	token_refused(s, first);
	token_refused(s, first);
	expect(s, "Bearer t2");
	token_refused(s, second);
	expect(s, "Bearer t3");
	buffer_free(&b);
	token_source_free(s);
}

static void *
get_one(void *arg)
{
	struct buffer b = BUFFER_INIT;
	struct fault fault = FAULT_INIT;

	token_get(arg, NULL, &b, NULL, &fault);
	buffer_free(&b);
	return NULL;
}

static void
those_who_come_together_wait_for_one_fetch(void **state)
{
	struct maker m = { .life_ms = 3600 * 1000, .slow_ms = 50 };
	struct token_source *s = source_of(&m);
	pthread_t threads[8];
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, get_one, s), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(m.made, 1);
	token_source_free(s);
}

static int
answer_of(const char *json, struct token_answer *answer)
{
	struct fault fault = FAULT_INIT;

	buffer_free(&answer->token);
	*answer = (struct token_answer){ .token = BUFFER_INIT };
	return token_answer_read(slice_text(json), "Somebody", answer, &fault);
}

static void
answers_of_token_endpoints_are_read(void **state)
{
	struct token_answer a = { .token = BUFFER_INIT };
	int64_t now_ms = clock_wall_ms();

	(void)state;
	assert_int_equal(answer_of("{\"token_type\":\"Bearer\",\"access_token\""
				   ":\"abc\",\"expires_in\":3599}",
			     &a),
	    0);
	assert_true(slice_is(buffer_slice(&a.token), "abc"));
	assert_in_range((uintmax_t)(a.expires_ms - now_ms), 3599000, 3609000);
	assert_int_equal(
	    answer_of(
		"{\"access_token\":\"abc\",\"expires_in\":\"86400\"}", &a),
	    0);
	assert_in_range((uintmax_t)(a.expires_ms - now_ms), 86400000, 86410000);
	buffer_free(&a.token);
}

static void
what_is_no_token_is_refused(void **state)
{
	static const char *const texts[] = { "", "<html>", "[]", "{}",
		"{\"access_token\":\"abc\"}",
		"{\"access_token\":\"\",\"expires_in\":10}",
		"{\"access_token\":\"a\\r\\nb\",\"expires_in\":10}",
		"{\"access_token\":\"a b\",\"expires_in\":10}",
		"{\"access_token\":7,\"expires_in\":10}",
		"{\"access_token\":\"a\",\"expires_in\":0}",
		"{\"access_token\":\"a\",\"expires_in\":-5}",
		"{\"access_token\":\"a\",\"expires_in\":\"soon\"}",
		"{\"access_token\":\"a\",\"expires_in\":99999999999}" };
	struct token_answer a = { .token = BUFFER_INIT };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(answer_of(texts[i], &a), -1);
	buffer_free(&a.token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_kept_while_it_is_fresh),
		cmocka_unit_test(
		    one_near_its_end_is_renewed_and_serves_when_that_fails),
		cmocka_unit_test(a_refused_one_is_not_renewed_in_a_storm),
		cmocka_unit_test(
		    an_old_one_that_is_refused_does_not_discard_its_successor),
		cmocka_unit_test(those_who_come_together_wait_for_one_fetch),
		cmocka_unit_test(answers_of_token_endpoints_are_read),
		cmocka_unit_test(what_is_no_token_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
