/* SPDX-License-Identifier: Apache-2.0 */
#include "util/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number in front of a unit; *ret_unit is what follows. */
static bool read_number(const char *text, uint64_t *ret_number, const char **ret_unit) {
    unsigned long long number;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *ret_number = number;
    *ret_unit = end;
    return true;
}

bool units_size(const char *text, uint64_t *ret_bytes) {
    static const char SUFFIXES[] = "KMGT";
    const char *unit, *suffix;
    unsigned shift = 0;
    uint64_t number;

    if (!read_number(text, &number, &unit))
        return false;
    if (*unit) {
        suffix = strchr(SUFFIXES, *unit >= 'a' && *unit <= 'z' ? *unit - 32 : *unit);
        if (!suffix)
            return false;
        shift = 10 * (unsigned)(suffix - SUFFIXES + 1);
        unit++;
        if (*unit == 'i')
            unit++;
        if (*unit == 'B')
            unit++;
    }
    if (*unit || number > UINT64_MAX >> shift)
        return false;
    *ret_bytes = number << shift;
    return true;
}

bool units_age(const char *text, uint64_t *ret_seconds) {
    static const struct {
        char suffix;
        uint64_t seconds;
    } UNITS[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    const char *unit;
    uint64_t number;

    if (!read_number(text, &number, &unit) || !unit[0] || unit[1])
        return false;
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(*UNITS); i++) {
        if (*unit == UNITS[i].suffix)
            return !__builtin_mul_overflow(number, UNITS[i].seconds, ret_seconds);
    }
    return false;
}
