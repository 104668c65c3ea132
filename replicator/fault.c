#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replicator/fault.h"

int
fault_set(struct fault *fault, enum fault_kind kind, const char *fmt, ...)
{
	char text[sizeof(fault->text)];
	va_list ap;

	/* Beside fault->text first, since an argument may be that text. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(fault->text, text, strlen(text) + 1);
	fault->kind = kind;
	return -1;
}

int
fault_add(struct fault *fault, const char *fmt, ...)
{
	char text[sizeof(fault->text)];
	va_list ap;
	size_t len, kept;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text) - 2, fmt, ap);
	va_end(ap);

	/* What does not fit is lost from the end of the older text. */
	len = strlen(text);
	memcpy(text + len, ": ", 2);
	len += 2;
	kept = strlen(fault->text);
	if (kept > sizeof(text) - 1 - len)
		kept = sizeof(text) - 1 - len;
	memcpy(text + len, fault->text, kept);
	text[len + kept] = '\0';
	memcpy(fault->text, text, len + kept + 1);
	return -1;
}

const char *
fault_kind_name(enum fault_kind kind)
{
	static const char *const names[] = {
		[FAULT_NONE] = "none",
		[FAULT_RETRY] = "retry",
		[FAULT_PERSON] = "person",
		[FAULT_OBJECT] = "object",
		[FAULT_MISSING] = "missing",
		[FAULT_EXISTS] = "exists",
		[FAULT_STOPPED] = "stopped",
	};

	return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind]
							       : "unknown";
}
