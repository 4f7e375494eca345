/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite over every backend of the tree, over the example's, and over tiers. */
#include <stdlib.h>

#include "backends/backends.h"
#include "conformance.h"
#include "examples/c/own_backend.h"
#include "harness.h"
#include "tier_adapter.h"

static int open_memory(const char *folder, uint64_t max_size, struct cubby_backend **ret_backend,
                       struct cubby_error *error) {
    struct backend_params params = {.max_size = max_size};

    (void)folder;
    return memory_backend_open(&params, ret_backend, error);
}

static int open_file(const char *folder, uint64_t max_size, struct cubby_backend **ret_backend,
                     struct cubby_error *error) {
    char *path = path_in(folder, "store");
    struct backend_params params = {.path = path, .max_size = max_size};
    int result = file_backend_open(&params, ret_backend, error);

    free(path);
    return result;
}

static int open_durable_file(const char *folder, uint64_t max_size,
                             struct cubby_backend **ret_backend, struct cubby_error *error) {
    char *path = path_in(folder, "store");
    struct backend_params params = {.path = path, .max_size = max_size, .durable = true};
    int result = file_backend_open(&params, ret_backend, error);

    free(path);
    return result;
}

#ifdef HAVE_SQLITE
static int open_sqlite(const char *folder, uint64_t max_size, struct cubby_backend **ret_backend,
                       struct cubby_error *error) {
    char *path = path_in(folder, "store.db");
    struct backend_params params = {.path = path, .max_size = max_size};
    int result = sqlite_backend_open(&params, ret_backend, error);

    free(path);
    return result;
}
#endif

static int open_ring(const char *folder, uint64_t max_size, struct cubby_backend **ret_backend,
                     struct cubby_error *error) {
    (void)folder;
    (void)max_size;
    return ring_backend_open(3000, ret_backend, error);
}

static int open_memory_file(const char *folder, uint64_t max_size,
                            struct cubby_backend **ret_backend, struct cubby_error *error) {
    struct cubby_backend *tiers[2];

    (void)max_size;
    if (open_memory(folder, 0, &tiers[0], error) < 0 || open_file(folder, 0, &tiers[1], error) < 0)
        return CUBBY_ERR_IO;
    return tier_adapter_open(tiers, 2, ret_backend, error);
}

#ifdef HAVE_SQLITE
static int open_ring_file_sqlite(const char *folder, uint64_t max_size,
                                 struct cubby_backend **ret_backend, struct cubby_error *error) {
    struct cubby_backend *tiers[3];

    (void)max_size;
    if (open_ring(folder, 0, &tiers[0], error) < 0 || open_file(folder, 0, &tiers[1], error) < 0 ||
        open_sqlite(folder, 0, &tiers[2], error) < 0)
        return CUBBY_ERR_IO;
    return tier_adapter_open(tiers, 3, ret_backend, error);
}
#endif

static const struct subject SUBJECTS[] = {
    {"memory", open_memory, false, true, false},
    {"file", open_file, true, true, false},
    {"file, durable", open_durable_file, true, true, false},
    {"own", open_ring, false, false, false},
    {"memory,file", open_memory_file, true, false, true},
#ifdef HAVE_SQLITE
    {"sqlite", open_sqlite, true, true, false},
    {"own,file,sqlite", open_ring_file_sqlite, true, false, true},
#endif
};

int main(void) {
    Suite *suite = suite_create("backends");

    conformance_add(suite, SUBJECTS, sizeof(SUBJECTS) / sizeof(*SUBJECTS));
    conformance_add_locks(suite, SUBJECTS, sizeof(SUBJECTS) / sizeof(*SUBJECTS));
    return run_suite(suite);
}
