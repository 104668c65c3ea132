#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Formats beside err->text first, since an argument may be that text. */
static void
put_sentence(struct error *err, const char *fmt, va_list ap)
{
	char text[ERROR_TEXT_BYTES];

	vsnprintf(text, sizeof(text), fmt, ap);
	memcpy(err->text, text, strlen(text) + 1);
}

static enum error_kind
kind_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return ERR_DISK_FULL;
	case EROFS:
		return ERR_READ_ONLY;
	case ENOMEM:
		return ERR_NOMEM;
	case EMFILE:
	case ENFILE:
		return ERR_BUSY;
	default:
		return ERR_IO;
	}
}

int
error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	put_sentence(err, fmt, ap);
	va_end(ap);
	err->kind = kind;
	err->sys = 0;
	return -1;
}

int
error_sys(struct error *err, int errnum, const char *fmt, ...)
{
	char reason[128];
	va_list ap;
	size_t len;
	int saved;

	if (err == NULL)
		return -1;
	saved = errno;
	va_start(ap, fmt);
	put_sentence(err, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s",
	    strerror_r(errnum, reason, sizeof(reason)));
	err->kind = kind_of_errno(errnum);
	err->sys = errnum;
	errno = saved;
	return -1;
}

int
error_nomem(struct error *err)
{
	return error_set(err, ERR_NOMEM, "out of memory");
}

int
error_add(struct error *err, const char *fmt, ...)
{
	char context[ERROR_TEXT_BYTES];
	size_t room, len, kept;
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);

	/* What does not fit is lost from the end of the older text. */
	len = strlen(context);
	if (len + sizeof(": ") > sizeof(err->text))
		len = sizeof(err->text) - sizeof(": ");
	room = sizeof(err->text) - len - sizeof(": ");
	kept = strlen(err->text);
	if (kept > room)
		kept = room;
	memmove(err->text + len + 2, err->text, kept);
	err->text[len + 2 + kept] = '\0';
	memcpy(err->text, context, len);
	memcpy(err->text + len, ": ", 2);
	return -1;
}

void
error_clear(struct error *err)
{
	if (err == NULL)
		return;
	err->kind = ERR_NONE;
	err->sys = 0;
	err->text[0] = '\0';
}
