/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/mac.h"

#include <blake2.h>
#include <string.h>

void mac_key_derive(const void *secret, size_t size, struct mac_key *ret_key) {
    /* Personalised: a digest of the same file that is made for anything else is not this key. */
    const blake2b_param param = {
        .digest_length = sizeof(ret_key->bytes),
        .fanout = 1,
        .depth = 1,
        .personal = "cubby-secret-v1",
    };
    blake2b_state state;

    blake2b_init_param(&state, &param);
    state.outlen = sizeof(ret_key->bytes); /* blake2b_init_param leaves it to its caller */
    blake2b_update(&state, secret, size);
    blake2b_final(&state, ret_key->bytes, sizeof(ret_key->bytes));
    explicit_bzero(&state, sizeof(state));
}

void mac_compute(const struct mac_key *key, const void *first, size_t first_size,
                 const void *second, size_t second_size, unsigned char ret_mac[MAC_SIZE]) {
    blake2b_state state;

    blake2b_init_key(&state, MAC_SIZE, key->bytes, sizeof(key->bytes));
    blake2b_update(&state, first, first_size);
    blake2b_update(&state, second, second_size);
    blake2b_final(&state, ret_mac, MAC_SIZE);
    explicit_bzero(&state, sizeof(state)); /* its buffer held the key */
}

bool mac_equal(const unsigned char left[MAC_SIZE], const unsigned char right[MAC_SIZE]) {
    volatile unsigned char different = 0; /* so that no compiler leaves the loop early */

    for (size_t i = 0; i < MAC_SIZE; i++)
        different |= left[i] ^ right[i];
    return different == 0;
}
