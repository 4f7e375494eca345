/* SPDX-License-Identifier: Apache-2.0 */
/* Keyed BLAKE2b (RFC 7693) over entries: who does not know the secret cannot make one. */
#ifndef CUBBY_ENTRY_MAC_H
#define CUBBY_ENTRY_MAC_H

#include <stdbool.h>
#include <stddef.h>

#define MAC_SIZE 32

/* Derived from a user's secret; wiped by its owner when it is no longer needed. */
struct mac_key {
    unsigned char bytes[32];
};

/* The key that stands for a secret. */
void mac_key_derive(const void *secret, size_t size, struct mac_key *ret_key);

/* The MAC of two pieces of an entry, one after the other. */
void mac_compute(const struct mac_key *key, const void *first, size_t first_size,
                 const void *second, size_t second_size, unsigned char ret_mac[MAC_SIZE]);

/* Compares in a time that does not tell where two MACs differ. */
bool mac_equal(const unsigned char left[MAC_SIZE], const unsigned char right[MAC_SIZE]);

#endif
