#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/workers.h"

#define NAME_BYTES 16 /* the kernel's limit with its NUL */

struct workers {
	pthread_mutex_t lock; /* guards what follows, to `threads` */
	pthread_cond_t ready; /* a job was added, or `stopping` */
	struct job *first;
	struct job **end; /* where the next job's address goes */
	size_t waiting;
	int stopping;

	char name[NAME_BYTES];
	size_t n_threads;
	pthread_t threads[];
};

static void *
work(void *arg)
{
	struct workers *w = arg;
	struct job *job;

	pthread_setname_np(pthread_self(), w->name);
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->first == NULL && !w->stopping)
			pthread_cond_wait(&w->ready, &w->lock);
		if ((job = w->first) == NULL)
			break;
		if ((w->first = job->next) == NULL)
			w->end = &w->first;
		w->waiting--;
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct workers *
workers_start(const char *name, size_t n, struct error *err)
{
	sigset_t all, before;
	struct workers *w;
	int rc;

	w = calloc(1, sizeof(*w) + n * sizeof(w->threads[0]));
	if (w == NULL) {
		error_nomem(err);
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ready, NULL);
	w->end = &w->first;
	strncpy(w->name, name, NAME_BYTES - 1);

	/* Signals are for the thread that waits for them, never for these. */
	sigfillset(&all);
	/* A crash is to be told of in every thread. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = 0;
	while (w->n_threads < n && rc == 0) {
		rc = pthread_create(&w->threads[w->n_threads], NULL, work, w);
		if (rc == 0)
			w->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		error_sys(err, rc, "cannot start thread %zu of %zu for %s",
		    w->n_threads + 1, n, name);
		workers_stop(w);
		return NULL;
	}
	return w;
}

void
workers_submit(struct workers *w, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->end = job;
	w->end = &job->next;
	w->waiting++;
	/* Inside the lock: once it is open the job may run, and its owner may
	 * stop the pool. */
	pthread_cond_signal(&w->ready);
	pthread_mutex_unlock(&w->lock);
}

size_t
workers_waiting(struct workers *w)
{
	size_t waiting;

	pthread_mutex_lock(&w->lock);
	waiting = w->waiting;
	pthread_mutex_unlock(&w->lock);
	return waiting;
}

void
workers_stop(struct workers *w)
{
	size_t i;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = 1;
	pthread_cond_broadcast(&w->ready);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->ready);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
