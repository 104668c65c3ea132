#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fiber.h"

/* Sanitizers must be told that the stack changes. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#include <sanitizer/common_interface_defs.h>
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif
#endif

struct fiber {
	ucontext_t own, resumer;
	void (*run)(void *);
	void *arg;
	char *memory; /* a page that nothing may touch, then the stack */
	size_t bytes, page;
	int ended;
#ifdef FIBER_ASAN
	const void *thread_stack;
	size_t thread_bytes;
#endif
#ifdef FIBER_TSAN
	void *tsan, *tsan_resumer;
#endif
};

static _Thread_local struct fiber *current;

/* What the sanitizers want to know; inlined, since theirs may be no call in
 * between. */
#define INLINED static inline __attribute__((always_inline)) void

INLINED
leave_thread(struct fiber *f, void **fake)
{
	(void)f;
	*fake = NULL;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(
	    fake, f->memory + f->page, f->bytes - f->page);
#endif
#ifdef FIBER_TSAN
	f->tsan_resumer = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
}

INLINED
back_on_thread(void *fake)
{
	(void)fake;
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

INLINED
leave_fiber(struct fiber *f, void **fake)
{
	(void)f;
	(void)fake;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(
	    f->ended ? NULL : fake, f->thread_stack, f->thread_bytes);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->tsan_resumer, 0);
#endif
}

INLINED
back_on_fiber(struct fiber *f, void *fake)
{
	(void)f;
	(void)fake;
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(
	    fake, &f->thread_stack, &f->thread_bytes);
#endif
}

/* ---- */

static void
begin(void)
{
	struct fiber *f = current;
	void *fake = NULL;

	back_on_fiber(f, NULL);
	f->run(f->arg);
	f->ended = 1;
	leave_fiber(f, &fake);
	(void)setcontext(&f->resumer);
	abort();
}

static int
set_context(struct fiber *f)
{
	if (getcontext(&f->own) != 0)
		return -1;
	f->own.uc_stack.ss_sp = f->memory + f->page;
	f->own.uc_stack.ss_size = f->bytes - f->page;
	f->own.uc_link = NULL;
	makecontext(&f->own, begin, 0);
	return 0;
}

struct fiber *
fiber_new(size_t stack_bytes, void (*run)(void *), void *arg, struct error *err)
{
	struct fiber *f;

	if ((f = calloc(1, sizeof(*f))) == NULL) {
		error_nomem(err);
		return NULL;
	}
	f->run = run;
	f->arg = arg;
	f->page = (size_t)sysconf(_SC_PAGESIZE);
	f->bytes = f->page + (stack_bytes + f->page - 1) / f->page * f->page;
	f->memory = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (f->memory == MAP_FAILED) {
		error_sys(err, errno, "the stack of a fiber");
		free(f);
		return NULL;
	}
	if (mprotect(f->memory, f->page, PROT_NONE) != 0 ||
	    set_context(f) != 0) {
		error_sys(err, errno, "the stack of a fiber");
		fiber_free(f);
		return NULL;
	}
#ifdef FIBER_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
	return f;
}

void
fiber_free(struct fiber *f)
{
	if (f == NULL)
		return;
#ifdef FIBER_TSAN
	if (f->tsan != NULL)
		__tsan_destroy_fiber(f->tsan);
#endif
	(void)munmap(f->memory, f->bytes);
	free(f);
}

void
fiber_resume(struct fiber *f)
{
	void *fake;

	current = f;
	leave_thread(f, &fake);
	if (swapcontext(&f->resumer, &f->own) != 0)
		abort();
	back_on_thread(fake);
	current = NULL;
}

void
fiber_yield(void)
{
	struct fiber *f = current;
	void *fake = NULL;

	leave_fiber(f, &fake);
	if (swapcontext(&f->own, &f->resumer) != 0)
		abort();
	back_on_fiber(f, fake);
}

struct fiber *
fiber_current(void)
{
	return current;
}

int
fiber_ended(const struct fiber *f)
{
	return f->ended;
}
