/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a text holds that ties it to its name, to the time or to files, or that changes how it is
 * read. Every source is looked through before it is compiled, so this is to be about as fast as
 * reading is: a sieve tells what a chunk may hold, and only that is looked for.
 */
#include <string.h>

#include "key/paste.h"
#include "key/scan.h"
#include "key/sieve.h"

/* A chunk and its text, beyond which nothing is read. */
struct chunk {
    const char *text;
    const char *text_end;
    const char *start;
    const char *end;
};

/* True if a word of which some part begins in the chunk is there. */
static bool has_word(const struct chunk *chunk, const char *word) {
    const char *from =
        chunk->start - chunk->text < SCAN_LONGEST ? chunk->text : chunk->start - SCAN_LONGEST;
    const char *to =
        chunk->text_end - chunk->end < SCAN_LONGEST ? chunk->text_end : chunk->end + SCAN_LONGEST;

    return memmem(from, (size_t)(to - from), word, strlen(word)) != NULL;
}

static bool has_rare(const struct chunk *chunk, const char *word) {
    const char *to = chunk->end < chunk->text_end ? chunk->end + 1 : chunk->end;

    return scan_find_rare(chunk->start, to, word) != NULL;
}

/* Words that end in E and, but for FILE, two underscores. */
static void find_macros(const struct chunk *chunk, struct scan_marks *marks) {
    const char *at = chunk->start;

    for (; (at = memchr(at, 'E', (size_t)(chunk->end - at))); at++) {
        bool marked = chunk->text_end - at >= 3 && memcmp(at + 1, "__", 2) == 0;
        size_t before = (size_t)(at - chunk->text);

        if (before >= 3 && memcmp(at - 3, "FIL", 3) == 0)
            marks->name = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__DAT", 5) == 0)
            marks->date = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__TIM", 5) == 0)
            marks->time = true;
    }
}

/* Adds what a chunk holds, of which the sieve told what it may hold. What is known is not looked
 * for again. */
static void look_at_chunk(const struct chunk *chunk, unsigned may, struct scan_marks *marks) {
    marks->foreign = marks->foreign || may & SIEVE_FOREIGN;
    marks->hash = marks->hash || may & SIEVE_HASH;
    marks->backslash = marks->backslash || may & SIEVE_BACKSLASH;
    if (may & SIEVE_SPELLED) {
        marks->digraph = marks->digraph || has_rare(chunk, "%:");
        marks->trigraph = marks->trigraph || has_rare(chunk, "?\?");
    }
    if (may & SIEVE_E)
        find_macros(chunk, marks);
    if (may & SIEVE_SSE)
        marks->name = marks->name || has_word(chunk, "assert");
    if (may & SIEVE_L)
        marks->name = marks->name || has_word(chunk, "source_location");
    if (may & SIEVE_AS_)
        marks->probe = marks->probe || has_word(chunk, "__has_");
}

/* The sieve of the last bytes of a text, with blanks behind them. */
static unsigned sieve_rest(const char *at, const char *end) {
    char chunk[SIEVE_CHUNK + SIEVE_AHEAD];

    memset(chunk, ' ', sizeof(chunk));
    memcpy(chunk, at, (size_t)(end - at));
    return sieve_chunk(chunk);
}

void scan_mark(const char *text, size_t size, struct scan_marks *marks) {
    struct chunk chunk = {.text = text, .text_end = text + size, .start = text};

    for (; chunk.start < chunk.text_end; chunk.start = chunk.end) {
        size_t left = (size_t)(chunk.text_end - chunk.start);
        unsigned may = left < SIEVE_CHUNK + SIEVE_AHEAD ? sieve_rest(chunk.start, chunk.text_end)
                                                        : sieve_chunk(chunk.start);

        chunk.end = chunk.start + (left < SIEVE_CHUNK ? left : SIEVE_CHUNK);
        if (may)
            look_at_chunk(&chunk, may, marks);
    }
}

void scan_words(const struct scan_text *text, struct scan_words *ret_words) {
    const struct scan_marks *marks = &text->marks;

    ret_words->pastes = paste_is_used(text);
    /* Pasting can make __FILE__ out of pieces. */
    ret_words->uses_name = marks->name || ret_words->pastes;
    ret_words->probes = marks->probe;
    ret_words->volatile_macro = marks->date ? "__DATE__" : marks->time ? "__TIME__" : NULL;
}
