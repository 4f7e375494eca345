/* SPDX-License-Identifier: Apache-2.0 */
#include "key/digest.h"

#include <endian.h>
#include <string.h>

void digest_init(struct digest *digest, const char *personal) {
    blake2b_param param = {
        .digest_length = CUBBY_KEY_SIZE,
        .fanout = 1,
        .depth = 1,
    };

    if (personal)
        memcpy(param.personal, personal, strnlen(personal, sizeof(param.personal)));
    blake2b_init_param(&digest->state, &param);
    digest->state.outlen = CUBBY_KEY_SIZE; /* blake2b_init_param leaves it to its caller */
}

void digest_update(struct digest *digest, const void *data, size_t size) {
    if (size > 0)
        blake2b_update(&digest->state, data, size);
}

void digest_field(struct digest *digest, unsigned char tag, const void *data, size_t size) {
    unsigned char head[9] = {tag};
    uint64_t length = htole64(size);

    memcpy(head + 1, &length, sizeof(length));
    digest_update(digest, head, sizeof(head));
    digest_update(digest, data, size);
}

void digest_result(const struct digest *digest, struct cubby_key *ret_key) {
    struct digest copy = *digest;

    digest_end(&copy, ret_key);
}

void digest_end(struct digest *digest, struct cubby_key *ret_key) {
    blake2b_final(&digest->state, ret_key->bytes, sizeof(ret_key->bytes));
}

void digest_bytes(const void *data, size_t size, struct cubby_key *ret_key) {
    struct digest digest;

    digest_init(&digest, NULL);
    digest_update(&digest, data, size);
    digest_end(&digest, ret_key);
}
