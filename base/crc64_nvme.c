#include <pthread.h>
#include <string.h>

#include "base/checksum.h"
#include "base/crc64_nvme.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/*
 * CRC-64/NVME: polynomial ad93d23594c93659, bits reflected, all ones before and
 * after (NVM Express NVM Command Set Specification 1.0, section 5.2.1.3.4).
 *
 * Folding (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using
 * PCLMULQDQ Instruction", Intel, 2009): sixteen bytes of message are a
 * polynomial A = H + L x^64, where L is the first eight. Moved D bits further
 * on, they are worth A x^D, that is L x^(D+64) + H x^D, and modulo P both
 * powers are constants of 64 bits, so two multiplications give sixteen bytes
 * that may be added to those D bits later. Bits are reflected, hence the
 * product of two reflected numbers lacks one factor x, and the constants are
 *
 *     first  = reflect(x^(D+64-1) mod P)      second = reflect(x^(D-1) mod P)
 *
 * The sixteen bytes that are left at the end have the message's CRC, and go
 * through the tables.
 */

#define POLYNOMIAL UINT64_C(0x9a6c9329ac4bc9b5) /* reflected */

/* Of each distance, first and second. */
static const uint64_t fold_128[2] = { 0xeadc41fd2ba3d420, 0x21e9761e252621ac };
static const uint64_t fold_512[2] = { 0x0c32cdb31e18a84a, 0x62242240ace5045a };
static const uint64_t fold_1024[2] = { 0xa1ca681e733f9c40, 0x5f852fb61e8d92dc };
static const uint64_t fold_2048[2] = { 0x37ccd3e14069cabc, 0xa043808c0f782663 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct crc64_nvme_way *fastest;
/* tables[k][b]: the remainder of byte b with k zero bytes after it. */
static uint64_t tables[8][256];

static void
prepare(void)
{
	uint64_t crc;
	size_t b, k;
	int bit;

	for (b = 0; b < 256; b++) {
		crc = b;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][b] = crc;
	}
	for (k = 1; k < 8; k++) {
		for (b = 0; b < 256; b++) {
			crc = tables[k - 1][b];
			tables[k][b] = crc >> 8 ^ tables[0][crc & 255];
		}
	}
	fastest = crc64_nvme_ways;
	while (!fastest->usable())
		fastest++;
}

/* The remainder without the ones before and after. */
static uint64_t
remainder_by_tables(uint64_t crc, const uint8_t *p, size_t len)
{
	uint64_t word;

	for (; len >= 8; len -= 8, p += 8) {
		word = (uint64_t)p[0] | (uint64_t)p[1] << 8 |
		    (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
		    (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
		    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
		crc ^= word;
		crc = tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^
		    tables[5][crc >> 16 & 255] ^ tables[4][crc >> 24 & 255] ^
		    tables[3][crc >> 32 & 255] ^ tables[2][crc >> 40 & 255] ^
		    tables[1][crc >> 48 & 255] ^ tables[0][crc >> 56];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
	return crc;
}

static uint64_t
by_tables(uint64_t crc, const void *bytes, size_t len)
{
	pthread_once(&once, prepare);
	return ~remainder_by_tables(~crc, bytes, len);
}

static int
always(void)
{
	return 1;
}

#if defined(__x86_64__)

#define WITH_PCLMUL __attribute__((target("pclmul,sse4.1")))
#define WITH_VPCLMUL \
	__attribute__((target("avx512f,avx512dq,vpclmulqdq,pclmul,sse4.1")))

static int
has_pclmul(void)
{
	return __builtin_cpu_supports("pclmul") &&
	    __builtin_cpu_supports("sse4.1");
}

static int
has_vpclmul(void)
{
	return has_pclmul() && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("vpclmulqdq");
}

WITH_PCLMUL static inline __m128i
load_16(const void *p)
{
	return _mm_loadu_si128(p);
}

/* a moved on by the distance of the constants, and added to b. */
WITH_PCLMUL static inline __m128i
fold_16(__m128i a, __m128i constants, __m128i b)
{
	return _mm_xor_si128(b,
	    _mm_xor_si128(_mm_clmulepi64_si128(a, constants, 0x00),
		_mm_clmulepi64_si128(a, constants, 0x11)));
}

/* The end of a message of which `left` stands for what came before. */
WITH_PCLMUL static uint64_t
finish(__m128i left, const uint8_t *p, size_t len)
{
	const __m128i by_128 = load_16(fold_128);
	uint8_t last[16];

	for (; len >= 16; len -= 16, p += 16)
		left = fold_16(left, by_128, load_16(p));
	_mm_storeu_si128((__m128i *)(void *)last, left);
	return remainder_by_tables(
	    remainder_by_tables(0, last, sizeof(last)), p, len);
}

WITH_PCLMUL static uint64_t
by_pclmul(uint64_t crc, const void *bytes, size_t len)
{
	const __m128i by_128 = load_16(fold_128);
	const __m128i by_1024 = load_16(fold_1024);
	const uint8_t *p = bytes;
	__m128i lane[8], start;
	size_t i;

	pthread_once(&once, prepare);
	if (len < 16)
		return ~remainder_by_tables(~crc, p, len);
	start = _mm_cvtsi64_si128((long long)~crc);
	if (len < 2 * sizeof(lane))
		return ~finish(
		    _mm_xor_si128(start, load_16(p)), p + 16, len - 16);

	for (i = 0; i < 8; i++)
		lane[i] = load_16(p + 16 * i);
	lane[0] = _mm_xor_si128(lane[0], start);
	p += sizeof(lane);
	len -= sizeof(lane);
	for (; len >= sizeof(lane); len -= sizeof(lane), p += sizeof(lane)) {
		for (i = 0; i < 8; i++)
			lane[i] =
			    fold_16(lane[i], by_1024, load_16(p + 16 * i));
	}
	for (i = 1; i < 8; i++)
		lane[i] = fold_16(lane[i - 1], by_128, lane[i]);
	return ~finish(lane[7], p, len);
}

WITH_VPCLMUL static inline __m512i
fold_64(__m512i a, __m512i constants, __m512i b)
{
	return _mm512_ternarylogic_epi64(
	    _mm512_clmulepi64_epi128(a, constants, 0x00),
	    _mm512_clmulepi64_epi128(a, constants, 0x11), b, 0x96);
}

WITH_VPCLMUL static uint64_t
by_vpclmul(uint64_t crc, const void *bytes, size_t len)
{
	const __m128i by_128 = load_16(fold_128);
	const __m512i by_512 = _mm512_broadcast_i64x2(load_16(fold_512));
	const __m512i by_2048 = _mm512_broadcast_i64x2(load_16(fold_2048));
	const uint8_t *p = bytes;
	__m512i lane[4];
	__m128i left;
	size_t i;

	if (len < 2 * sizeof(lane))
		return by_pclmul(crc, bytes, len);

	for (i = 0; i < 4; i++)
		lane[i] = _mm512_loadu_si512(p + 64 * i);
	lane[0] = _mm512_xor_si512(lane[0],
	    _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)~crc)));
	p += sizeof(lane);
	len -= sizeof(lane);
	for (; len >= sizeof(lane); len -= sizeof(lane), p += sizeof(lane)) {
		for (i = 0; i < 4; i++)
			lane[i] = fold_64(
			    lane[i], by_2048, _mm512_loadu_si512(p + 64 * i));
	}
	for (i = 1; i < 4; i++)
		lane[i] = fold_64(lane[i - 1], by_512, lane[i]);
	left = _mm512_extracti64x2_epi64(lane[3], 0);
	left = fold_16(left, by_128, _mm512_extracti64x2_epi64(lane[3], 1));
	left = fold_16(left, by_128, _mm512_extracti64x2_epi64(lane[3], 2));
	left = fold_16(left, by_128, _mm512_extracti64x2_epi64(lane[3], 3));
	pthread_once(&once, prepare);
	return ~finish(left, p, len);
}

const struct crc64_nvme_way crc64_nvme_ways[] = {
	{ "vpclmulqdq", by_vpclmul, has_vpclmul },
	{ "pclmulqdq", by_pclmul, has_pclmul },
	{ "tables", by_tables, always },
	{ NULL, NULL, NULL },
};

#else

const struct crc64_nvme_way crc64_nvme_ways[] = {
	{ "tables", by_tables, always },
	{ NULL, NULL, NULL },
};

#endif

uint64_t
crc64_nvme(uint64_t crc, const void *bytes, size_t len)
{
	pthread_once(&once, prepare);
	return fastest->run(crc, bytes, len);
}
