#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replicator/azure_private.h"
#include "replicator/side_object.h"
#include "replicator/token_source.h"
#include "replicator/velero.h"

/* JSON that others write: a token endpoint's answer, whom a token is for, a
 * side object, Velero's file of a backup. The first byte chooses. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
read_token(struct slice json)
{
	struct token_answer answer = { .token = BUFFER_INIT };
	struct fault fault = FAULT_INIT;
	struct slice token;
	size_t i;

	if (token_answer_read(json, "Somebody", &answer, &fault) == 0) {
		token = buffer_slice(&answer.token);
		for (i = 0; i < token.len; i++)
			if (token.at[i] <= ' ' || token.at[i] > '~')
				__builtin_trap();
	} else if (fault.kind == FAULT_NONE)
		__builtin_trap();
	buffer_free(&answer.token);
}

static void
read_side(struct slice json)
{
	struct buffer attributes = BUFFER_INIT, tags = BUFFER_INIT;
	struct buffer again = BUFFER_INIT, more = BUFFER_INIT,
		      more_tags = BUFFER_INIT;
	struct remote_object o = { .key = SLICE_LITERAL("k"), .version = 1 };

	if (side_object_decode(json, &attributes, &tags) == 0) {
		o.attributes = buffer_slice(&attributes);
		o.tags = buffer_slice(&tags);
		side_object_encode(&o, &again);
		if (!again.failed &&
		    (side_object_decode(
			 buffer_slice(&again), &more, &more_tags) != 0 ||
			!slice_equal(o.attributes, buffer_slice(&more)) ||
			!slice_equal(o.tags, buffer_slice(&more_tags))))
			__builtin_trap();
	}
	buffer_free(&attributes);
	buffer_free(&tags);
	buffer_free(&again);
	buffer_free(&more);
	buffer_free(&more_tags);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char phase[VELERO_PHASE_BYTES], text[256];
	struct slice json;

	if (len < 1)
		return 0;
	json = (struct slice){ (const char *)bytes + 1, len - 1 };
	switch (bytes[0]) {
	case 't':
		read_token(json);
		break;
	case 'j':
		azure_token_identity(json, text, sizeof(text));
		break;
	case 's':
		read_side(json);
		break;
	default:
		velero_phase_read(json, phase);
		if (memchr(phase, '\0', sizeof(phase)) == NULL)
			__builtin_trap();
		(void)velero_phase_is_final(phase);
	}
	return 0;
}
