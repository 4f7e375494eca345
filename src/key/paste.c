/* SPDX-License-Identifier: Apache-2.0 */
#include "key/paste.h"

#include <ctype.h>
#include <string.h>

/* What must not go unnoticed: words that change with time, and words that read the file system. */
static const char *const WORDS[PASTE_WORDS] = {"__DATE__", "__TIME__", "__has_include",
                                               "__has_include_next", "__has_embed"};

bool paste_is_used(const struct scan_text *text) {
    const struct scan_marks *marks = &text->marks;

    return (marks->hash && scan_find_rare(text->start, text->end, "##")) ||
           (marks->digraph && scan_find_rare(text->start, text->end, "%:%:")) ||
           (marks->trigraph && scan_find_rare(text->start, text->end, "?\?=?\?="));
}

static void add_piece(struct pieces *pieces, const char *piece, size_t length) {
    for (size_t word = 0; word < PASTE_WORDS; word++) {
        const char *text = WORDS[word];
        size_t total = strlen(text);

        /* The whole word is no piece; it is found by other means. */
        for (size_t from = 0; length < total && from + length <= total; from++) {
            if (memcmp(text + from, piece, length) == 0)
                pieces->ends[word][from] |= UINT32_C(1) << (from + length);
        }
    }
}

void pieces_add(struct pieces *pieces, const char *text, size_t size) {
    const char *end = text + size;

    while (text < end) {
        const char *start = text;

        while (text < end && (isalnum((unsigned char)*text) || *text == '_'))
            text++;
        if (text > start && (size_t)(text - start) <= PASTE_LONGEST)
            add_piece(pieces, start, (size_t)(text - start));
        if (text == start)
            text++;
    }
}

void pieces_merge(struct pieces *into, const struct pieces *from) {
    for (size_t word = 0; word < PASTE_WORDS; word++) {
        for (size_t i = 0; i < PASTE_LONGEST; i++)
            into->ends[word][i] |= from->ends[word][i];
    }
}

const char *pieces_word(const struct pieces *pieces) {
    for (size_t word = 0; word < PASTE_WORDS; word++) {
        size_t total = strlen(WORDS[word]);
        uint32_t reached = 1; /* bit i: the first i letters can be made */

        for (size_t i = 0; i < total; i++) {
            if (reached & UINT32_C(1) << i)
                reached |= pieces->ends[word][i];
        }
        if (reached & UINT32_C(1) << total)
            return WORDS[word];
    }
    return NULL;
}
