/* SPDX-License-Identifier: Apache-2.0 */
#include "key/sieve.h"

#include "util/lanes.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* ---- Any processor ----------------------------------------------------------------------- */

static unsigned bit_if_any(lanes found, enum sieve bit) {
    return lanes_any(found, 0xff) ? bit : 0;
}

unsigned sieve_chunk_plain(const char *chunk) {
    lanes foreign = {0}, hash = {0}, backslash = {0}, spelled = {0};
    lanes e = {0}, sse = {0}, as_ = {0}, l = {0};

    for (size_t i = 0; i < SIEVE_CHUNK; i += LANES) {
        lanes first = lanes_at(chunk + i), second = lanes_at(chunk + i + 1);
        lanes third = lanes_at(chunk + i + 2), second_s = (lanes)(second == 's');

        foreign |= (lanes)(first == 0) | (first & 0x80);
        hash |= (lanes)(first == '#');
        backslash |= (lanes)(first == '\\');
        spelled |= (lanes)((first == '%') | (first == '?'));
        e |= (lanes)(first == 'E');
        sse |= second_s & (lanes)((first == 's') & (third == 'e'));
        as_ |= second_s & (lanes)((first == 'a') & (third == '_'));
        l |= (lanes)((first == '_') & (second == 'l'));
    }
    if (!lanes_any(foreign | hash | backslash | spelled | e | sse | as_ | l, 0xff))
        return 0;
    return bit_if_any(foreign, SIEVE_FOREIGN) | bit_if_any(hash, SIEVE_HASH) |
           bit_if_any(backslash, SIEVE_BACKSLASH) | bit_if_any(spelled, SIEVE_SPELLED) |
           bit_if_any(e, SIEVE_E) | bit_if_any(sse, SIEVE_SSE) | bit_if_any(as_, SIEVE_AS_) |
           bit_if_any(l, SIEVE_L);
}

/* ---- AVX2 -------------------------------------------------------------------------------- */

#ifdef __x86_64__

#define WIDE __attribute__((target("avx2")))

/* Bits of what one byte tells, by its lower and its upper half: those that both halves have. */
enum byte_class {
    CLASS_NUL = 1 << 0,
    CLASS_HASH = 1 << 1,
    CLASS_BACKSLASH = 1 << 2,
    CLASS_PERCENT = 1 << 3,
    CLASS_QUESTION = 1 << 4,
    CLASS_E = 1 << 5,
};

static const unsigned char LOWER[16] = {
    [0x0] = CLASS_NUL,       [0x3] = CLASS_HASH,     [0x5] = CLASS_PERCENT | CLASS_E,
    [0xc] = CLASS_BACKSLASH, [0xf] = CLASS_QUESTION,
};
static const unsigned char UPPER[16] = {
    [0x0] = CLASS_NUL,       [0x2] = CLASS_HASH | CLASS_PERCENT,
    [0x3] = CLASS_QUESTION,  [0x4] = CLASS_E,
    [0x5] = CLASS_BACKSLASH,
};

WIDE static inline __m256i table(const unsigned char *halves) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)halves));
}

WIDE static inline __m256i wide_at(const char *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}

WIDE static inline __m256i is(__m256i bytes, char byte) {
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte));
}

/* True if any of these bits is set in any byte. */
WIDE static inline bool has_bits(__m256i bytes, unsigned bits) {
    return !_mm256_testz_si256(bytes, _mm256_set1_epi8((char)bits));
}

WIDE static unsigned sieve_chunk_wide(const char *chunk) {
    const __m256i lower = table(LOWER), upper = table(UPPER), half = _mm256_set1_epi8(0xf);
    __m256i foreign = _mm256_setzero_si256(), classes = foreign;
    __m256i sse = foreign, as_ = foreign, l = foreign;

    for (size_t i = 0; i < SIEVE_CHUNK; i += sizeof(__m256i)) {
        __m256i first = wide_at(chunk + i), second = wide_at(chunk + i + 1);
        __m256i third = wide_at(chunk + i + 2), second_s = is(second, 's');
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(first, 4), half);

        /* Bytes beyond ASCII have no class: a table gives nothing for them. */
        classes |= _mm256_shuffle_epi8(lower, first) & _mm256_shuffle_epi8(upper, high);
        foreign |= first;
        sse |= second_s & is(first, 's') & is(third, 'e');
        as_ |= second_s & is(first, 'a') & is(third, '_');
        l |= is(first, '_') & is(second, 'l');
    }
    if (!has_bits(classes | sse | as_ | l, 0xff) && !has_bits(foreign, 0x80))
        return 0;
    return (has_bits(foreign, 0x80) || has_bits(classes, CLASS_NUL) ? SIEVE_FOREIGN : 0) |
           (has_bits(classes, CLASS_HASH) ? SIEVE_HASH : 0) |
           (has_bits(classes, CLASS_BACKSLASH) ? SIEVE_BACKSLASH : 0) |
           (has_bits(classes, CLASS_PERCENT | CLASS_QUESTION) ? SIEVE_SPELLED : 0) |
           (has_bits(classes, CLASS_E) ? SIEVE_E : 0) | (has_bits(sse, 0xff) ? SIEVE_SSE : 0) |
           (has_bits(as_, 0xff) ? SIEVE_AS_ : 0) | (has_bits(l, 0xff) ? SIEVE_L : 0);
}

unsigned sieve_chunk(const char *chunk) {
    return __builtin_cpu_supports("avx2") ? sieve_chunk_wide(chunk) : sieve_chunk_plain(chunk);
}

#else

unsigned sieve_chunk(const char *chunk) {
    return sieve_chunk_plain(chunk);
}

#endif
