/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the suite that is about locks of keys; a backend without them passes it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"
#include "harness.h"

#define OBJECT CUBBY_ENTRY_OBJECT

static const struct subject *subjects;

static struct cubby_backend *open_subject(const struct subject *subject, const char *folder) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_ok(subject->open(folder, 0, &backend, &error), &error);
    return backend;
}

static int take(struct cubby_backend *backend, enum cubby_entry_kind kind, unsigned number,
                uint64_t timeout_ns, struct cubby_key_lock **ret_lock) {
    struct cubby_key key = key_of(number);

    return backend->ops->lock_key(backend, kind, &key, timeout_ns, ret_lock, NULL);
}

/* A second user of the same store: another of the same folder, where it is shared that way. */
static struct cubby_backend *open_second(const struct subject *subject, const char *folder,
                                         struct cubby_backend *first) {
    return subject->persistent ? open_subject(subject, folder) : first;
}

START_TEST(test_locks_exclude) {
    const struct subject *subject = &subjects[_i];
    char *folder = strdup(scratch_dir());
    struct cubby_backend *first = open_subject(subject, folder), *second;
    struct cubby_key_lock *lock, *others[3], *untouched = (struct cubby_key_lock *)&lock, *none;
    struct cubby_key key = key_of(1);
    struct cubby_blob *blob = blob_of(1, 100);

    ck_assert_int_eq(first->ops->lock_key == NULL, first->ops->unlock_key == NULL);
    second = first->ops->lock_key ? open_second(subject, folder, first) : first;
    if (first->ops->lock_key) {
        ck_assert_int_eq(take(first, OBJECT, 1, 0, &lock), 0);
        ck_assert_ptr_nonnull(lock);
        none = untouched;
        ck_assert_int_eq(take(second, OBJECT, 1, 0, &none), CUBBY_ERR_BUSY);
        ck_assert_int_eq(take(second, OBJECT, 1, 20000000, &none), CUBBY_ERR_BUSY);
        ck_assert_ptr_eq(none, untouched);
        /* Neither other keys nor other kinds have to do with it, nor has what is stored. */
        ck_assert_int_eq(take(second, OBJECT, 2, 0, &others[0]), 0);
        ck_assert_int_eq(take(first, OBJECT, 3, 0, &others[1]), 0);
        ck_assert_int_eq(take(second, CUBBY_ENTRY_USER, 1, 0, &others[2]), 0);
        ck_assert_int_eq(second->ops->put(second, OBJECT, &key, blob, NULL), 0);
        ck_assert_int_eq(first->ops->remove(first, OBJECT, &key, NULL), 0);
        ck_assert_int_eq(first->ops->clear(first, NULL), 0);
        ck_assert_int_eq(take(second, OBJECT, 1, 0, &none), CUBBY_ERR_BUSY);
        first->ops->unlock_key(first, lock);
        ck_assert_int_eq(take(second, OBJECT, 1, 0, &lock), 0);
        ck_assert_ptr_nonnull(lock);
        second->ops->unlock_key(second, lock);
        second->ops->unlock_key(second, others[0]);
        first->ops->unlock_key(first, others[1]);
        second->ops->unlock_key(second, others[2]);
    }
    if (second != first)
        second->ops->close(second);
    first->ops->close(first);
    cubby_blob_unref(blob);
    free(folder);
}
END_TEST

struct waiter {
    struct cubby_backend *backend;
    struct cubby_key_lock *lock;
    int result;
};

static void *wait_for_lock(void *context) {
    struct waiter *waiter = context;

    waiter->result = take(waiter->backend, OBJECT, 1, 30000000000u, &waiter->lock);
    return NULL;
}

/* Who waited learns that the holder is done, and does not hold the lock itself. */
START_TEST(test_locks_are_waited_for) {
    const struct subject *subject = &subjects[_i];
    char *folder = strdup(scratch_dir());
    struct cubby_backend *first = open_subject(subject, folder), *second;
    struct waiter waiters[4];
    struct cubby_key_lock *lock;
    pthread_t threads[4];

    second = first->ops->lock_key ? open_second(subject, folder, first) : first;
    if (first->ops->lock_key) {
        ck_assert_int_eq(take(first, OBJECT, 1, 0, &lock), 0);
        for (unsigned i = 0; i < 4; i++) {
            waiters[i] =
                (struct waiter){i % 2 ? first : second, (struct cubby_key_lock *)folder, 1};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_for_lock, &waiters[i]), 0);
        }
        usleep(50000);
        first->ops->unlock_key(first, lock);
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            ck_assert_int_eq(waiters[i].result, 0);
            ck_assert_ptr_null(waiters[i].lock);
        }
        ck_assert_int_eq(take(second, OBJECT, 1, 0, &lock), 0);
        second->ops->unlock_key(second, lock);
    }
    if (second != first)
        second->ops->close(second);
    first->ops->close(first);
    free(folder);
}
END_TEST

/* A child has its parent's pointer, but neither holds the lock nor gives it back. */
START_TEST(test_locks_and_fork) {
    const struct subject *subject = &subjects[_i];
    struct cubby_backend *backend = open_subject(subject, scratch_dir());
    struct cubby_key_lock *lock, *again;
    pid_t child;
    int status;

    if (backend->ops->lock_key) {
        ck_assert_int_eq(take(backend, OBJECT, 1, 0, &lock), 0);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            backend->ops->unlock_key(backend, lock);
            ck_assert_int_eq(take(backend, OBJECT, 1, 0, &again), CUBBY_ERR_BUSY);
            ck_assert_int_eq(take(backend, OBJECT, 2, 0, &again), 0);
            _exit(0); /* which frees what it holds */
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ck_assert_int_eq(take(backend, OBJECT, 1, 0, &again), CUBBY_ERR_BUSY);
        backend->ops->unlock_key(backend, lock);
        for (unsigned number = 1; number <= 2; number++) {
            ck_assert_int_eq(take(backend, OBJECT, number, 0, &lock), 0);
            ck_assert_ptr_nonnull(lock);
            backend->ops->unlock_key(backend, lock);
        }
    }
    backend->ops->close(backend);
}
END_TEST

void conformance_add_locks(Suite *suite, const struct subject *all, size_t count) {
    TCase *tcase = tcase_create("locks of keys");

    subjects = all;
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_locks_exclude, 0, (int)count);
    tcase_add_loop_test(tcase, test_locks_are_waited_for, 0, (int)count);
    tcase_add_loop_test(tcase, test_locks_and_fork, 0, (int)count);
    suite_add_tcase(suite, tcase);
}
