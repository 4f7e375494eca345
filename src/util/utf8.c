/* SPDX-License-Identifier: Apache-2.0 */
#include "util/utf8.h"

#include "util/lanes.h"

/* Length of the well-formed sequence at the position, 0 where there is none. */
static size_t utf8_sequence(const unsigned char *at, size_t left) {
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        length = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        length = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (at[0] == 0xe0)
        low = 0xa0; /* no overlong forms */
    else if (at[0] == 0xed)
        high = 0x9f; /* no surrogates */
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f; /* nothing above U+10FFFF */
    if (left < length || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return length;
}

/* Length of the run of ASCII at the position, in whole blocks. */
static size_t ascii_blocks(const unsigned char *at, size_t left) {
    size_t length = 0;

    for (; left - length >= LANES_BLOCK; length += LANES_BLOCK) {
        lanes all = {0};

        for (size_t i = 0; i < LANES_BLOCK; i += LANES)
            all |= lanes_at(at + length + i);
        if (lanes_any(all, 0x80))
            break;
    }
    return length;
}

bool utf8_is_valid(const char *text, size_t size, size_t *ret_offset) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = ascii_blocks(bytes, size);

    while (at < size) {
        size_t length = utf8_sequence(bytes + at, size - at);

        if (length == 0) {
            *ret_offset = at;
            return false;
        }
        at += length;
        if (length > 1)
            at += ascii_blocks(bytes + at, size - at);
    }
    return true;
}
