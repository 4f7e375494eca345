/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as text. */
#include <string.h>

#include <cubby/cubby.h>

#include "util/error.h"

static const char DIGITS[] = "0123456789abcdef";

void cubby_key_format(const struct cubby_key *key, char ret_hex[CUBBY_KEY_HEX_SIZE]) {
    for (size_t i = 0; i < CUBBY_KEY_SIZE; i++) {
        ret_hex[2 * i] = DIGITS[key->bytes[i] >> 4];
        ret_hex[2 * i + 1] = DIGITS[key->bytes[i] & 0xf];
    }
    ret_hex[2 * CUBBY_KEY_SIZE] = '\0';
}

static int digit_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

int cubby_key_parse(const char *hex, struct cubby_key *ret_key, struct cubby_error *error) {
    struct cubby_key key;

    if (!hex || strlen(hex) != 2 * CUBBY_KEY_SIZE)
        goto invalid;
    for (size_t i = 0; i < CUBBY_KEY_SIZE; i++) {
        int high = digit_value(hex[2 * i]);
        int low = digit_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            goto invalid;
        key.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_key = key;
    return 0;
invalid:
    return error_set(error, CUBBY_ERR_INVALID,
                     "\"%.80s\" is not a key: expected %d hexadecimal digits, as `cubby key` and "
                     "`cubby ls` print them",
                     hex ? hex : "", 2 * CUBBY_KEY_SIZE);
}
