#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "console/pair.h"

#define ACCESS_KEY_LETTERS 20
#define SECRET_LETTERS 43

/* Letters that nothing has to escape, each as likely as any other. */
static void
random_text(const char *letters, size_t n_letters, char *text, size_t len)
{
	size_t limit = 256 - 256 % n_letters, i = 0;
	uint8_t byte;

	while (i < len) {
		bytes_random(&byte, 1);
		if (byte < limit)
			text[i++] = letters[byte % n_letters];
	}
	text[len] = '\0';
	bytes_wipe(&byte, 1);
}

void
pair_make_access_key(char *text, size_t room)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	size_t len = ACCESS_KEY_LETTERS < room ? ACCESS_KEY_LETTERS : room - 1;

	random_text(letters, sizeof(letters) - 1, text, len);
	/* Told from AWS's own, which begin with AK or AS. */
	text[0] = 'H';
	text[1] = 'F';
}

void
pair_make_secret(char *text, size_t room)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = SECRET_LETTERS < room ? SECRET_LETTERS : room - 1;

	random_text(letters, sizeof(letters) - 1, text, len);
}

int
pair_check(const char *access_key, const char *secret, struct error *err)
{
	size_t len = strlen(access_key), i;
	unsigned char c;

	if (len == 0 || len > PAIR_ACCESS_KEY_MAX_BYTES)
		return error_set(err, ERR_INVALID,
		    "an access key has 1 to %d characters, this one has %zu",
		    PAIR_ACCESS_KEY_MAX_BYTES, len);
	for (i = 0; i < len; i++) {
		c = (unsigned char)access_key[i];
		if (c <= ' ' || c > '~' || strchr("/,=", c) != NULL)
			return error_set(err, ERR_INVALID,
			    "the access key \"%s\" has a character that "
			    "signatures cannot carry: use letters, digits, - "
			    "and "
			    "_",
			    access_key);
	}
	len = strlen(secret);
	if (len == 0 || len > PAIR_SECRET_MAX_BYTES)
		return error_set(err, ERR_INVALID,
		    "a secret has 1 to %d characters, this one has %zu",
		    PAIR_SECRET_MAX_BYTES, len);
	for (i = 0; i < len; i++) {
		c = (unsigned char)secret[i];
		if (c < ' ' || c > '~')
			return error_set(err, ERR_INVALID,
			    "the secret has a character that is not printable "
			    "ASCII: use letters, digits and punctuation");
	}
	return 0;
}
