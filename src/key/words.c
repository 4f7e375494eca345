/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words in a text that tie what is compiled to its name or to the time. Every source is looked
 * through for them before it is compiled, so this is written to be about as fast as reading is.
 */
#include <string.h>

#include "key/paste.h"
#include "key/scan.h"
#include "util/lanes.h"

/* True if "assert", "source_location" or "__has_" may begin in this block or up to 9 bytes before
 * it: it has "ss", any byte, "r", or it has "_l", or "as_". Up to 3 bytes behind the block are
 * read.
 */
static bool block_may_have_word(const char *block) {
    lanes found = {0};

    for (size_t i = 0; i < LANES_BLOCK; i += LANES) {
        lanes first = lanes_at(block + i), second = lanes_at(block + i + 1);
        lanes second_s = (lanes)(second == 's');

        found |= second_s & (lanes)((first == 's') & (lanes_at(block + i + 3) == 'r'));
        found |= second_s & (lanes)((first == 'a') & (lanes_at(block + i + 2) == '_'));
        found |= (lanes)((first == '_') & (second == 'l'));
    }
    return lanes_any(found, 0xff);
}

static bool has_word(const char *start, const char *end, const char *word) {
    return memmem(start, (size_t)(end - start), word, strlen(word)) != NULL;
}

/* What was seen of the words that lack a rare byte. */
struct common {
    bool name;  /* "assert" or "source_location" */
    bool probe; /* "__has_" */
};

static void look_for_common(const char *start, const char *end, struct common *seen) {
    seen->name =
        seen->name || has_word(start, end, "assert") || has_word(start, end, "source_location");
    seen->probe = seen->probe || has_word(start, end, "__has_");
}

/* Block by block, and only where a block may have one of them, word by word, with room for a word
 * that crosses its ends. */
static struct common find_common(const struct scan_text *text) {
    struct common seen = {false, false};
    const char *at = text->start;

    for (; text->end - at >= LANES_BLOCK + LANES; at += LANES_BLOCK) {
        const char *start = at - text->start < LANES ? text->start : at - LANES;

        if (block_may_have_word(at))
            look_for_common(start, at + LANES_BLOCK + LANES, &seen);
    }
    look_for_common(at - text->start < LANES ? text->start : at - LANES, text->end, &seen);
    return seen;
}

/* What was seen of the words that end in E and, but for FILE, two underscores. */
struct macros {
    bool file, date, time;
};

static struct macros find_macros(const struct scan_text *text) {
    struct macros seen = {false, false, false};
    const char *at = text->start;

    for (; (at = memchr(at, 'E', (size_t)(text->end - at))); at++) {
        bool marked = text->end - at >= 3 && memcmp(at + 1, "__", 2) == 0;
        size_t before = (size_t)(at - text->start);

        if (before >= 3 && memcmp(at - 3, "FIL", 3) == 0)
            seen.file = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__DAT", 5) == 0)
            seen.date = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__TIM", 5) == 0)
            seen.time = true;
    }
    return seen;
}

void scan_words(const struct scan_text *text, struct scan_words *ret_words) {
    struct macros seen = find_macros(text);
    struct common common = find_common(text);

    ret_words->pastes = paste_is_used(text->start, (size_t)(text->end - text->start));
    /* Pasting can make __FILE__ out of pieces. */
    ret_words->uses_name = seen.file || ret_words->pastes || common.name;
    ret_words->probes = common.probe;
    ret_words->volatile_macro = seen.date ? "__DATE__" : seen.time ? "__TIME__" : NULL;
}
