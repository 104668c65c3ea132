#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "replicator/azure_names.h"

static struct buffer out;

static const char *
encoded(
    void (*encode)(struct slice, struct buffer *), const char *text, size_t len)
{
	buffer_free(&out);
	out = (struct buffer)BUFFER_INIT;
	encode((struct slice){ text, len }, &out);
	buffer_add_u8(&out, '\0');
	assert_false(out.failed);
	return out.at;
}

static void
names_are_letters_and_digits(void **state)
{
	(void)state;
	assert_string_equal(encoded(azure_name_encode, "mtime", 5), "mtime");
	assert_string_equal(
	    encoded(azure_name_encode, "Foo-Bar_1", 9), "fooz2dbarz5f1");
	assert_string_equal(encoded(azure_name_encode, "1st", 3), "z31st");
	assert_string_equal(encoded(azure_name_encode, "size", 4), "sizze");
	assert_string_equal(
	    encoded(azure_name_encode, "\xc3\xa4", 2), "zc3za4");
	assert_string_equal(
	    encoded(azure_name_encode, "kopiamtime", 10), "z6bopiamtime");
	assert_string_equal(
	    encoded(azure_name_encode, "kopiamtimes", 11), "kopiamtimes");
	buffer_free(&out);
}

static void
values_are_printable(void **state)
{
	(void)state;
	assert_string_equal(encoded(azure_value_encode, "", 0), "%");
	assert_string_equal(encoded(azure_value_encode, "a b", 3), "a b");
	assert_string_equal(encoded(azure_value_encode, "a  b", 4), "a%20%20b");
	assert_string_equal(encoded(azure_value_encode, " a ", 3), "%20a%20");
	assert_string_equal(encoded(azure_value_encode, "5%", 2), "5%25");
	assert_string_equal(
	    encoded(azure_value_encode, "\xc3\xa4\n", 3), "%C3%A4%0A");
	buffer_free(&out);
}

static void
round_trip(void (*encode)(struct slice, struct buffer *),
    int (*decode)(struct slice, struct buffer *), struct slice text)
{
	struct buffer there = BUFFER_INIT, back = BUFFER_INIT;
	size_t i;

	encode(text, &there);
	assert_false(there.failed);
	for (i = 0; i < there.len; i++)
		assert_in_range((unsigned char)there.at[i], ' ', '~');
	assert_int_equal(decode(buffer_slice(&there), &back), 0);
	assert_int_equal(back.len, text.len);
	if (text.len > 0)
		assert_memory_equal(back.at, text.at, text.len);
	buffer_free(&there);
	buffer_free(&back);
}

/* Names have no capitals: the store keeps them in small letters. */
static void
whatever_is_encoded_comes_back(void **state)
{
	char bytes[40];
	size_t len, i;
	int n;

	(void)state;
	srand(7);
	for (n = 0; n < 20000; n++) {
		len = (size_t)rand() % sizeof(bytes);
		for (i = 0; i < len; i++)
			bytes[i] =
			    (char)(rand() % 4 == 0 ? rand()
						   : "z0 %k-a"[rand() % 7]);
		round_trip(azure_value_encode, azure_value_decode,
		    (struct slice){ bytes, len });
		for (i = 0; i < len; i++)
			if (bytes[i] >= 'A' && bytes[i] <= 'Z')
				bytes[i] = (char)(bytes[i] - 'A' + 'a');
		round_trip(azure_name_encode, azure_name_decode,
		    (struct slice){ bytes, len });
	}
	round_trip(
	    azure_name_encode, azure_name_decode, SLICE_LITERAL("kopiamtime"));
}

static void
no_encoded_name_is_one_of_ours(void **state)
{
	char name[3] = "zh";
	int c;

	(void)state;
	for (c = 1; c < 256; c++) {
		name[0] = (char)c;
		assert_int_not_equal(
		    strncmp(encoded(azure_name_encode, name, 2), "zh", 2), 0);
	}
	buffer_free(&out);
}

static void
what_others_changed_is_refused(void **state)
{
	static const char *const names[] = { "z", "z2", "zg0", "zh" };
	static const char *const values[] = { "a%", "%2", "%zz" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(
		    azure_name_decode(slice_text(names[i]), &out), -1);
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(
		    azure_value_decode(slice_text(values[i]), &out), -1);
	buffer_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_letters_and_digits),
		cmocka_unit_test(values_are_printable),
		cmocka_unit_test(whatever_is_encoded_comes_back),
		cmocka_unit_test(no_encoded_name_is_one_of_ours),
		cmocka_unit_test(what_others_changed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
