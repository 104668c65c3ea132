/*
 * libcurl, loaded when the first client is made. It brings some thirty
 * libraries with it, of which a server without a destination needs none: half
 * of what such a server would have in memory. So the program is not linked with
 * it; what replicator/ calls of libcurl is here under the same names.
 *
 * A call that is missing at link time is one to be added to this file.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>

#include "base/log.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define LIBRARY "libcurl.so.4"

static struct {
	CURLcode (*global_init)(long);
	CURL *(*easy_init)(void);
	void (*easy_cleanup)(CURL *);
	void (*easy_reset)(CURL *);
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	CURLcode (*easy_perform)(CURL *);
	const char *(*easy_strerror)(CURLcode);
	CURLM *(*multi_init)(void);
	CURLMcode (*multi_cleanup)(CURLM *);
	CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
	CURLMcode (*multi_add_handle)(CURLM *, CURL *);
	CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
	CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
	CURLMsg *(*multi_info_read)(CURLM *, int *);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
} real;

static const struct {
	const char *name;
	void *function; /* of a pointer of `real` */
} names[] = {
	{ "curl_global_init", &real.global_init },
	{ "curl_easy_init", &real.easy_init },
	{ "curl_easy_cleanup", &real.easy_cleanup },
	{ "curl_easy_reset", &real.easy_reset },
	{ "curl_easy_setopt", &real.easy_setopt },
	{ "curl_easy_getinfo", &real.easy_getinfo },
	{ "curl_easy_perform", &real.easy_perform },
	{ "curl_easy_strerror", &real.easy_strerror },
	{ "curl_multi_init", &real.multi_init },
	{ "curl_multi_cleanup", &real.multi_cleanup },
	{ "curl_multi_setopt", &real.multi_setopt },
	{ "curl_multi_add_handle", &real.multi_add_handle },
	{ "curl_multi_remove_handle", &real.multi_remove_handle },
	{ "curl_multi_socket_action", &real.multi_socket_action },
	{ "curl_multi_info_read", &real.multi_info_read },
	{ "curl_slist_append", &real.slist_append },
	{ "curl_slist_free_all", &real.slist_free_all },
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int loaded;

static void
load(void)
{
	void *library, *symbol;
	size_t i;

	if ((library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)) == NULL) {
		log_line(LOG_ERROR, "replicator.libcurl",
		    "destinations need libcurl (Debian's libcurl4): %s",
		    dlerror());
		return;
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((symbol = dlsym(library, names[i].name)) == NULL) {
			log_line(
			    LOG_ERROR, "replicator.libcurl", "%s", dlerror());
			return;
		}
		/* POSIX's way to make a function of dlsym()'s answer. */
		*(void **)names[i].function = symbol;
	}
	loaded = real.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* The real one is called before the first handle is made. */
CURLcode
curl_global_init(long flags)
{
	(void)flags;
	return CURLE_OK;
}

CURL *
curl_easy_init(void)
{
	(void)pthread_once(&once, load);
	return loaded ? real.easy_init() : NULL;
}

void
curl_easy_cleanup(CURL *curl)
{
	if (curl != NULL)
		real.easy_cleanup(curl);
}

void
curl_easy_reset(CURL *curl)
{
	real.easy_reset(curl);
}

/* A long, a curl_off_t or a pointer: all as wide as each other, and passed
 * alike, wherever holdfast runs. */
_Static_assert(
    sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
    "an option's value fits a pointer");

CURLcode
curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	va_list args;
	void *value;

	va_start(args, option);
	value = va_arg(args, void *);
	va_end(args);
	return real.easy_setopt(curl, option, value);
}

CURLcode
curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	va_list args;
	void *value;

	va_start(args, info);
	value = va_arg(args, void *);
	va_end(args);
	return real.easy_getinfo(curl, info, value);
}

CURLcode
curl_easy_perform(CURL *curl)
{
	return real.easy_perform(curl);
}

const char *
curl_easy_strerror(CURLcode code)
{
	return real.easy_strerror(code);
}

CURLM *
curl_multi_init(void)
{
	(void)pthread_once(&once, load);
	return loaded ? real.multi_init() : NULL;
}

CURLMcode
curl_multi_cleanup(CURLM *multi)
{
	return multi != NULL ? real.multi_cleanup(multi) : CURLM_OK;
}

CURLMcode
curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
	va_list args;
	void *value;

	va_start(args, option);
	value = va_arg(args, void *);
	va_end(args);
	return real.multi_setopt(multi, option, value);
}

CURLMcode
curl_multi_add_handle(CURLM *multi, CURL *curl)
{
	return real.multi_add_handle(multi, curl);
}

CURLMcode
curl_multi_remove_handle(CURLM *multi, CURL *curl)
{
	return real.multi_remove_handle(multi, curl);
}

CURLMcode
curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int what, int *running)
{
	return real.multi_socket_action(multi, fd, what, running);
}

CURLMsg *
curl_multi_info_read(CURLM *multi, int *left)
{
	return real.multi_info_read(multi, left);
}

struct curl_slist *
curl_slist_append(struct curl_slist *list, const char *text)
{
	(void)pthread_once(&once, load);
	return loaded ? real.slist_append(list, text) : NULL;
}

void
curl_slist_free_all(struct curl_slist *list)
{
	if (list != NULL)
		real.slist_free_all(list);
}
