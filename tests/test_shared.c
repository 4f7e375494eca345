/* SPDX-License-Identifier: Apache-2.0 */
/* A file store that the members of a group share. */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/file.h"
#include "store_tools.h"

#define GROUP 54321
#define MEMBER 54001
#define OTHER_MEMBER 54002
#define STRANGER 54003

static struct backend_params shared(const char *path) {
    return (struct backend_params){.path = path, .shared = true};
}

static struct cubby_backend *open_shared(const char *path) {
    struct backend_params params = shared(path);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_ok(file_backend_open(&params, &backend, &error), &error);
    return backend;
}

static void shared_refused(const char *path, const char *reason) {
    struct backend_params params = shared(path);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *backend = NULL;

    ck_assert_int_eq(file_backend_open(&params, &backend, &error), CUBBY_ERR_INVALID);
    ck_assert_msg(strstr(error.message, reason) && strstr(error.message, path), "%s",
                  error.message);
    cubby_error_clear(&error);
}

/* A folder as the group of this process shares it. */
static char *shared_root(void) {
    char *root = path_in(scratch_dir(), "store");

    ck_assert_int_eq(mkdir(root, 0700), 0);
    ck_assert_int_eq(chmod(root, 02770), 0);
    return root;
}

/* ---- Modes ------------------------------------------------------------------------------- */

static void expect_mode(const char *root, const char *name, unsigned mode) {
    char *path = path_in(root, name);
    struct stat status;

    ck_assert_int_eq(lstat(path, &status), 0);
    ck_assert_msg((status.st_mode & 07777) == mode, "%s: %04o", path, status.st_mode & 07777u);
    free(path);
}

START_TEST(test_modes_whatever_the_umask) {
    static const mode_t MASKS[] = {0, 022, 077, 0177};
    char *root = shared_root(), name[FILE_PATH_SIZE], path[FILE_PATH_SIZE + 16];
    const struct cubby_counters counters = {.hits = 1};
    char hex[CUBBY_KEY_HEX_SIZE], lock_name[CUBBY_KEY_HEX_SIZE + 16];
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key_lock *lock = NULL;
    struct cubby_key key = key_of(1);
    struct cubby_backend *store;

    cubby_key_format(&key, hex);
    snprintf(lock_name, sizeof(lock_name), "flights/%s.%u", hex, (unsigned)CUBBY_ENTRY_USER);
    umask(MASKS[_i]);
    store = open_shared(root);
    store_put(store, 1, 1, 100);
    store_expect(store, 1, 1, 100);
    ck_assert_int_eq(store->ops->count(store, &counters, NULL), 0);
    ck_assert_int_eq(store->ops->trim(store, &(struct cubby_trim_limits){0}, NULL, NULL), 0);
    ck_ok(store->ops->lock_key(store, CUBBY_ENTRY_USER, &key, 0, &lock, &error), &error);
    umask(022);
    expect_mode(root, "", 02770);
    expect_mode(root, "object", 02770);
    expect_mode(root, "toolchain", 02770);
    expect_mode(root, "tmp", 02770);
    expect_mode(root, "tmp/evict.lock", 0660);
    expect_mode(root, "counters", 0660);
    expect_mode(root, "flights", 02770);
    expect_mode(root, lock_name, 0660);
    expect_mode(root, "CACHEDIR.TAG", 0660);
    file_entry_path(&key, name);
    snprintf(path, sizeof(path), "object/%s", name);
    expect_mode(root, path, 0660);
    *strrchr(path, '/') = '\0';
    expect_mode(root, path, 02770);
    store->ops->unlock_key(store, lock);
    store_close(store);
    free(root);
}
END_TEST

/* ---- Trust ------------------------------------------------------------------------------- */

START_TEST(test_refused_without_the_parameter) {
    char *root = shared_root();

    store_refused(file_backend_open, root, CUBBY_ERR_INVALID, root, "shared=group");
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(root, MEMBER, 0), 0);
        ck_assert_int_eq(chmod(root, 02770), 0);
        store_refused(file_backend_open, root, CUBBY_ERR_INVALID, root, "shared=group");
        store_close(open_shared(root)); /* who owns it does not matter */
    }
    free(root);
}
END_TEST

START_TEST(test_roots_that_no_group_shares) {
    static const mode_t MODES[] = {0700, 0770, 02750, 02760, 02772, 02777, 03777};
    char *root = shared_root(), *missing = path_in(root, "missing");

    for (size_t i = 0; i < sizeof(MODES) / sizeof(*MODES); i++) {
        ck_assert_int_eq(chmod(root, MODES[i]), 0);
        shared_refused(root, "chmod g+rwxs,o-w");
    }
    ck_assert_int_eq(chmod(root, 02775), 0); /* others may read */
    store_close(open_shared(root));
    shared_refused(missing, "install -d -m 2770");
    ck_assert_int_eq(access(missing, F_OK), -1);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(root, 0, GROUP), 0);
        ck_assert_int_eq(chmod(root, 02770), 0);
        shared_refused(root, "belongs to group 54321");
    }
    free(missing);
    free(root);
}
END_TEST

/* A folder below that one member kept for himself. */
START_TEST(test_private_folder_below) {
    char *root = shared_root(), *below = path_in(root, "object");

    ck_assert_int_eq(mkdir(below, 0700), 0);
    ck_assert_int_eq(chmod(below, 0700), 0);
    shared_refused(root, "/object is no folder that a group shares");
    free(below);
    free(root);
}
END_TEST

/* ---- Two users of one group -------------------------------------------------------------- */

/* From now on this process is that user, in the folder, and in the group where it is a member. */
static void become(const char *folder, uid_t user, bool member) {
    const gid_t group = GROUP;

    ck_assert_int_eq(chdir(folder), 0);
    umask(077);
    ck_assert_int_eq(setgroups(member ? 1 : 0, &group), 0);
    ck_assert_int_eq(setgid(user), 0);
    ck_assert_int_eq(setuid(user), 0);
}

/* Each in turn makes the same entry. */
static void take_turn(struct cubby_backend *store) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key_lock *lock = NULL;
    struct cubby_key key = key_of(1);

    ck_ok(store->ops->lock_key(store, CUBBY_ENTRY_USER, &key, 0, &lock, &error), &error);
    ck_assert_ptr_nonnull(lock);
    store->ops->unlock_key(store, lock);
}

static void use_first(void *context) {
    struct cubby_backend *store;

    become(context, MEMBER, true);
    store = open_shared(".");
    for (unsigned i = 0; i < 20; i++)
        store_put(store, i, i, 1000);
    take_turn(store);
    store_close(store);
}

static void use_second(void *context) {
    struct backend_params params = {.path = ".", .shared = true, .max_size = 1 << 20};
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_backend *store = NULL;

    become(context, OTHER_MEMBER, true);
    store_refused(file_backend_open, ".", CUBBY_ERR_INVALID, "shared=group", "mode 2770");
    ck_ok(file_backend_open(&params, &store, &error), &error);
    for (unsigned i = 0; i < 20; i++)
        store_expect(store, i, i, 1000);
    store_put(store, 3, 33, 1000); /* over the other's */
    ck_assert_int_eq(store_remove_code(store, 4), 0);
    store_expect(store, 3, 33, 1000);
    ck_assert_int_eq(
        store->ops->trim(store, &(struct cubby_trim_limits){.max_size = 10000}, NULL, NULL), 0);
    ck_assert_uint_le(store_stats(store).bytes, 10000);
    ck_assert_uint_gt(store_stats(store).counters.evictions, 0);
    take_turn(store);
    store_close(store);
}

static void use_third(void *context) {
    struct cubby_backend *store;

    become(context, MEMBER, true);
    store = open_shared(".");
    store_expect(store, 3, 33, 1000);
    ck_assert_int_eq(store_get_code(store, 4), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(store->ops->clear(store, NULL), 0);
    ck_assert_uint_eq(store_walk(store), 0);
    store_close(store);
}

/* Even where others may read, a stranger is no member. */
static void use_as_stranger(void *context) {
    become(context, STRANGER, false);
    shared_refused(".", "belongs to group 54321");
}

START_TEST(test_two_users) {
    static void (*const USES[])(void *) = {use_first, use_second, use_third};
    char *root;

    if (!is_root("two users of a group"))
        return;
    root = shared_root();
    ck_assert_int_eq(chown(root, 0, GROUP), 0);
    ck_assert_int_eq(chmod(root, 02770), 0);
    for (size_t i = 0; i < sizeof(USES) / sizeof(*USES); i++)
        end_child(start_child(USES[i], root));
    ck_assert_int_eq(chmod(root, 02775), 0);
    end_child(start_child(use_as_stranger, root));
    free(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shared");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, test_modes_whatever_the_umask, 0, 4);
    tcase_add_test(tcase, test_refused_without_the_parameter);
    tcase_add_test(tcase, test_roots_that_no_group_shares);
    tcase_add_test(tcase, test_private_folder_below);
    tcase_add_test(tcase, test_two_users);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
