/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from fields of the caller's choice, for those who bring their own compiler. */
#include <stdlib.h>
#include <string.h>

#include <cubby/cubby.h>

#include "key/digest.h"

enum { TAG_DOMAIN = 1, TAG_NAME = 2, TAG_VALUE = 3 };

struct cubby_key_builder {
    struct digest digest;
};

struct cubby_key_builder *cubby_key_builder_new(const char *domain) {
    struct cubby_key_builder *builder = malloc(sizeof(*builder));

    if (!builder)
        return NULL;
    digest_init(&builder->digest, "cubby user v1");
    digest_field(&builder->digest, TAG_DOMAIN, domain, strlen(domain));
    return builder;
}

void cubby_key_builder_add(struct cubby_key_builder *builder, const char *name, const void *data,
                           size_t size) {
    digest_field(&builder->digest, TAG_NAME, name, strlen(name));
    digest_field(&builder->digest, TAG_VALUE, data, size);
}

void cubby_key_builder_finish(const struct cubby_key_builder *builder, struct cubby_key *ret_key) {
    digest_result(&builder->digest, ret_key);
}

void cubby_key_builder_free(struct cubby_key_builder *builder) {
    free(builder);
}
