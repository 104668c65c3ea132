#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/workers.h"

#define JOBS 2000

/* A gate that jobs wait at until the test opens it. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int arrived;
	int open;
};

static struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
	0, 0 };

struct numbered_job {
	struct job job;
	int number;
};

static struct numbered_job jobs[JOBS];
static int order[JOBS];
static atomic_int n_run;

static void
arrive_and_wait(struct job *job)
{
	(void)job;
	pthread_mutex_lock(&gate.lock);
	gate.arrived++;
	pthread_cond_broadcast(&gate.changed);
	while (!gate.open)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void
wait_for_arrivals(int n)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.arrived < n)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void
set_gate(int open)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = open;
	if (!open)
		gate.arrived = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static void
note_order(struct job *job)
{
	order[atomic_fetch_add(&n_run, 1)] =
	    ((struct numbered_job *)job)->number;
}

static int
reset(void **state)
{
	int i;

	(void)state;
	set_gate(0);
	atomic_store(&n_run, 0);
	for (i = 0; i < JOBS; i++)
		jobs[i] = (struct numbered_job){ { note_order, NULL }, i };
	return 0;
}

static void
jobs_run_in_the_order_of_submission(void **state)
{
	struct workers *w;
	int i;

	(void)state;
	w = workers_start("order", 1, NULL);
	assert_non_null(w);
	for (i = 0; i < JOBS; i++)
		workers_submit(w, &jobs[i].job);
	workers_stop(w);
	assert_int_equal(n_run, JOBS);
	for (i = 0; i < JOBS; i++)
		assert_int_equal(order[i], i);
}

static void
each_job_gets_a_thread_of_its_own_while_there_are_some(void **state)
{
	struct job blockers[4];
	struct workers *w;
	int i;

	(void)state;
	w = workers_start("parallel", 4, NULL);
	assert_non_null(w);
	for (i = 0; i < 4; i++) {
		blockers[i].run = arrive_and_wait;
		workers_submit(w, &blockers[i]);
	}
	wait_for_arrivals(4);
	set_gate(1);
	workers_stop(w);
}

static void
waiting_jobs_are_counted_and_stopping_runs_them(void **state)
{
	struct job blocker = { arrive_and_wait, NULL };
	struct workers *w;
	int i;

	(void)state;
	w = workers_start("waiting", 1, NULL);
	assert_non_null(w);
	assert_int_equal(workers_waiting(w), 0);
	workers_submit(w, &blocker);
	wait_for_arrivals(1);
	for (i = 0; i < 10; i++)
		workers_submit(w, &jobs[i].job);
	assert_int_equal(workers_waiting(w), 10);
	set_gate(1);
	workers_stop(w);
	assert_int_equal(n_run, 10);
}

static struct workers *shared;

static void *
submit_share(void *arg)
{
	int first = *(int *)arg, i;

	for (i = first; i < JOBS; i += 4)
		workers_submit(shared, &jobs[i].job);
	return NULL;
}

static void
many_threads_may_submit_and_no_job_is_lost_or_run_twice(void **state)
{
	static int seen[JOBS];
	pthread_t threads[4];
	int firsts[4], i;

	(void)state;
	shared = workers_start("shared", 3, NULL);
	assert_non_null(shared);
	for (i = 0; i < 4; i++) {
		firsts[i] = i;
		assert_int_equal(
		    pthread_create(&threads[i], NULL, submit_share, &firsts[i]),
		    0);
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	workers_stop(shared);
	assert_int_equal(n_run, JOBS);
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < JOBS; i++)
		seen[order[i]]++;
	for (i = 0; i < JOBS; i++)
		assert_int_equal(seen[i], 1);
}

/* Submits itself until it has run JOBS times. */
static void
run_again(struct job *job)
{
	if (atomic_fetch_add(&n_run, 1) + 1 < JOBS)
		workers_submit(shared, job);
}

static void
a_job_may_submit_itself_again_even_while_stopping(void **state)
{
	struct job again = { run_again, NULL };

	(void)state;
	shared = workers_start("again", 2, NULL);
	assert_non_null(shared);
	workers_submit(shared, &again);
	workers_stop(shared);
	assert_int_equal(n_run, JOBS);
}

static char thread_name[32];
static sigset_t thread_mask;

static void
note_thread(struct job *job)
{
	(void)job;
	pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
	pthread_sigmask(SIG_SETMASK, NULL, &thread_mask);
}

static void
threads_have_the_pools_name_and_take_no_signals(void **state)
{
	struct job job = { note_thread, NULL };
	struct workers *w;
	sigset_t mask;

	(void)state;
	w = workers_start("a-name-too-long-for-it", 1, NULL);
	assert_non_null(w);
	workers_submit(w, &job);
	workers_stop(w);
	assert_string_equal(thread_name, "a-name-too-long");
	assert_int_equal(sigismember(&thread_mask, SIGTERM), 1);
	assert_int_equal(sigismember(&thread_mask, SIGHUP), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void
stopping_nothing_is_allowed(void **state)
{
	(void)state;
	workers_stop(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    jobs_run_in_the_order_of_submission, reset),
		cmocka_unit_test_setup(
		    each_job_gets_a_thread_of_its_own_while_there_are_some,
		    reset),
		cmocka_unit_test_setup(
		    waiting_jobs_are_counted_and_stopping_runs_them, reset),
		cmocka_unit_test_setup(
		    many_threads_may_submit_and_no_job_is_lost_or_run_twice,
		    reset),
		cmocka_unit_test_setup(
		    a_job_may_submit_itself_again_even_while_stopping, reset),
		cmocka_unit_test_setup(
		    threads_have_the_pools_name_and_take_no_signals, reset),
		cmocka_unit_test(stopping_nothing_is_allowed),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
