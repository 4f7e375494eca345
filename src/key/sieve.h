/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first look at a text, at about the speed of reading it: what there may be in a chunk of it.
 * Nothing else has to be looked for there.
 */
#ifndef CUBBY_KEY_SIEVE_H
#define CUBBY_KEY_SIEVE_H

#define SIEVE_CHUNK 512 /* bytes that are looked at as one */
#define SIEVE_AHEAD 2   /* bytes behind them that are read as well */

/* What begins in a chunk; each bit is set if and only if it does. */
enum sieve {
    SIEVE_FOREIGN = 1 << 0,   /* a NUL byte, or a byte beyond ASCII */
    SIEVE_HASH = 1 << 1,      /* # */
    SIEVE_BACKSLASH = 1 << 2, /* \ */
    SIEVE_SPELLED = 1 << 3,   /* % or ?, with which digraphs and trigraphs begin */
    SIEVE_E = 1 << 4,         /* E, of __DATE__, __TIME__ and FILE */
    SIEVE_SSE = 1 << 5,       /* "sse", of assert */
    SIEVE_AS_ = 1 << 6,       /* "as_", of __has_ */
    SIEVE_L = 1 << 7,         /* "_l", of source_location */
};

/* The bits of enum sieve for a chunk. */
unsigned sieve_chunk(const char *chunk);

/* The same for processors without the wide registers that sieve_chunk() uses where it can. */
unsigned sieve_chunk_plain(const char *chunk);

#endif
