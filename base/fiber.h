#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include <stddef.h>

struct error;

/*
 * Many runs of plain code that take turns on one thread: a fiber has a stack of
 * its own, runs when its thread resumes it, and gives the thread back where it
 * would wait. A fiber stays on the thread that first resumed it. It must not
 * hold a lock while it yields.
 */
struct fiber;

/* Makes one that will call run(arg). NULL and *err. */
struct fiber *fiber_new(
    size_t stack_bytes, void (*run)(void *), void *arg, struct error *err);
/* Of one that has ended, or has never run. NULL is allowed. */
void fiber_free(struct fiber *);
/* On a thread's own stack: runs it until it yields or ends. */
void fiber_resume(struct fiber *);
/* In a fiber: until it is resumed. */
void fiber_yield(void);
/* The one that runs, or NULL on a thread's own stack. */
struct fiber *fiber_current(void);
int fiber_ended(const struct fiber *);

#endif
