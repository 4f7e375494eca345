/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <string.h>

/* Numbers of splitmix64, by Sebastiano Vigna (public domain): keys that spread as digests do. */
void floor_key(unsigned number, struct cubby_key *ret_key) {
    uint64_t state = number;

    for (size_t i = 0; i < sizeof(ret_key->bytes); i += sizeof(state)) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        memcpy(ret_key->bytes + i, &z, sizeof(z));
    }
}

int floor_open(struct floor *floor, const char *kind, const char *folder, size_t size) {
    *floor = (struct floor){.free = NULL};
    if (strcmp(kind, "memory") == 0)
        return memory_floor_open(floor, size);
    if (strcmp(kind, "file") == 0)
        return file_floor_open(floor, folder, size);
#ifdef HAVE_SQLITE
    if (strcmp(kind, "sqlite") == 0)
        return sqlite_floor_open(floor, folder, size);
#endif
    return -1;
}

void floor_close(struct floor *floor) {
    if (floor->free)
        floor->free(floor->context);
}
