#include <stdio.h>
#include <string.h>

#include "replicator/refusal.h"

void
refusal_take(char *to, size_t room, struct slice text)
{
	char *at;

	snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
	    text.at != NULL ? text.at : "");
	for (at = to; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
}

int
refusal_speaks_of(const struct refusal *r, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strstr(r->message, *words) != NULL)
			return 1;
	return 0;
}

const char *
refusal_permission(const struct refusal *r, const char *const *marks,
    const char *start, const char *otherwise, char *room, size_t room_len)
{
	const char *at;
	size_t len;

	for (; *marks != NULL; marks++) {
		if ((at = strstr(r->message, *marks)) == NULL)
			continue;
		at += strlen(*marks);
		len = strspn(at,
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789.:-*/");
		if (len == 0 || len >= room_len ||
		    strncmp(at, start, strlen(start)) != 0)
			continue;
		snprintf(room, room_len, "%.*s", (int)len, at);
		return room;
	}
	return otherwise;
}

const struct refusal_row *
refusal_find(const struct refusal_row *row, int status, const struct refusal *r)
{
	for (;; row++)
		if ((row->status == 0 || row->status == status ||
			row->status == status / 100) &&
		    (row->code == NULL || strcmp(row->code, r->code) == 0) &&
		    (row->words == NULL || refusal_speaks_of(r, row->words)))
			return row;
}

static void
write_sentence(const char *form, const struct refusal_names *names, int status,
    const struct refusal *r, struct buffer *out)
{
	for (; *form != '\0'; form++) {
		if (form[0] != '%') {
			buffer_add_u8(out, (uint8_t)form[0]);
			continue;
		}
		switch (*++form) {
		case 'B':
			buffer_add_text(out, names->bucket);
			break;
		case 'A':
			buffer_add_text(out, names->account);
			break;
		case 'P':
			buffer_add_text(out, names->permission);
			break;
		case 'W':
			buffer_add_text(out, names->who);
			break;
		case 'M':
			buffer_add_text(out, r->message);
			break;
		case 'S':
			buffer_printf(out, "%d", status);
			break;
		case 'D':
			buffer_printf(out, "%s%s%s%s",
			    r->code[0] != '\0' ? " " : "", r->code,
			    r->message[0] != '\0' ? ": " : ".", r->message);
			break;
		}
	}
	while (out->len > 0 && out->at[out->len - 1] == ' ')
		out->len--;
}

int
refusal_fault(const struct refusal_row *row, const struct refusal_names *names,
    const struct http_call *call, const struct refusal *r, struct fault *fault)
{
	struct buffer text = BUFFER_INIT;

	*fault = call->fault;
	snprintf(fault->code, sizeof(fault->code), "%s", r->code);
	fault->slow_down = (row->flags & REFUSAL_SLOW_DOWN) != 0 ||
	    call->status == 429 || call->status == 503;
	/* A provider that asks for less says so in its own words; others that
	 * stand between say the same of a request that they have passed on. */
	if (call->status == 503 && r->code[0] == '\0')
		fault->fate_unknown = http_status_fate(call->method, 502);
	fault->archived = (row->flags & REFUSAL_ARCHIVED) != 0;
	write_sentence(row->sentence, names, call->status, r, &text);
	fault_set(fault,
	    row->kind != FAULT_NONE ? row->kind
				    : http_status_fault(call->status),
	    "%.*s", (int)text.len, text.at != NULL ? text.at : "");
	buffer_free(&text);
	return -1;
}
