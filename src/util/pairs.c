/* SPDX-License-Identifier: Apache-2.0 */
#include "util/pairs.h"

#include <string.h>

void pairs_add(struct buffer *pairs, const char *first, const char *second) {
    buffer_add(pairs, first, strlen(first) + 1);
    buffer_add(pairs, second, strlen(second) + 1);
}

/* The text at the position, which moves behind its NUL; NULL where there is no NUL. */
static const char *next_text(struct pairs *pairs) {
    const char *text = pairs->position;
    const char *nul = memchr(text, '\0', (size_t)(pairs->end - text));

    if (nul)
        pairs->position = nul + 1;
    return nul ? text : NULL;
}

bool pairs_next(struct pairs *pairs, const char **ret_first, const char **ret_second) {
    const char *first, *second;

    if (pairs->position == pairs->end || !(first = next_text(pairs)) ||
        !(second = next_text(pairs)))
        return false;
    *ret_first = first;
    *ret_second = second;
    return true;
}
