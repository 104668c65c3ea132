#include <pthread.h>

#include <isa-l/crc.h>

#include "base/checksum.h"

#define CRC32C_STEP_BYTES (1u << 30) /* ISA-L takes an int */

/*
 * Combining: a CRC is a remainder modulo P, and appending n bytes to a message
 * multiplies its remainder by x^(8n). Since the sums of both messages carry the
 * same ones before and after, these cancel out, and
 *
 *     crc(a then b) = crc(a) x^(8n) + crc(b)
 *
 * Numbers are reflected: bit `width - 1` is x^0. powers[k] is x^(8 * 2^k), so a
 * length costs one multiplication for each of its bits that is set.
 */
struct field {
	int width;
	uint64_t polynomial; /* reflected */
	uint64_t powers[64];
};

static struct field iso = { 32, 0xedb88320, { 0 } };
static struct field castagnoli = { 32, 0x82f63b78, { 0 } };
static struct field nvme = { 64, UINT64_C(0x9a6c9329ac4bc9b5), { 0 } };
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t
multiply(const struct field *f, uint64_t a, uint64_t b)
{
	uint64_t product;
	int bit;

	product = 0;
	for (bit = f->width - 1; bit >= 0; bit--) {
		product ^= b & (0 - (a >> bit & 1));
		b = b >> 1 ^ (f->polynomial & (0 - (b & 1)));
	}
	return product;
}

static void
fill_powers(struct field *f)
{
	size_t k;

	f->powers[0] = UINT64_C(1) << (f->width - 1 - 8);
	for (k = 1; k < 64; k++)
		f->powers[k] = multiply(f, f->powers[k - 1], f->powers[k - 1]);
}

static void
prepare(void)
{
	fill_powers(&iso);
	fill_powers(&castagnoli);
	fill_powers(&nvme);
}

static uint64_t
combine(const struct field *f, uint64_t a, uint64_t b, uint64_t b_len)
{
	size_t k;

	pthread_once(&once, prepare);
	for (k = 0; b_len > 0; k++, b_len >>= 1) {
		if (b_len & 1)
			a = multiply(f, f->powers[k], a);
	}
	return a ^ b;
}

uint32_t
crc32_iso(uint32_t crc, const void *bytes, size_t len)
{
	return crc32_gzip_refl(crc, bytes, len);
}

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t len)
{
	/* ISA-L only reads, though it does not say const. */
	unsigned char *p = (unsigned char *)(uintptr_t)bytes;
	size_t step;

	crc = ~crc;
	for (; len > 0; len -= step, p += step) {
		step = len < CRC32C_STEP_BYTES ? len : CRC32C_STEP_BYTES;
		crc = crc32_iscsi(p, (int)step, crc);
	}
	return ~crc;
}

uint32_t
crc32_iso_combine(uint32_t a, uint32_t b, uint64_t b_len)
{
	return (uint32_t)combine(&iso, a, b, b_len);
}

uint32_t
crc32c_combine(uint32_t a, uint32_t b, uint64_t b_len)
{
	return (uint32_t)combine(&castagnoli, a, b, b_len);
}

uint64_t
crc64_nvme_combine(uint64_t a, uint64_t b, uint64_t b_len)
{
	return combine(&nvme, a, b, b_len);
}
