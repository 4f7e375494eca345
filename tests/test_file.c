/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to the file store: its place, whom it trusts, links, faults and damage. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/file.h"
#include "cache/cache.h"
#include "store_tools.h"

/* ---- Helpers ----------------------------------------------------------------------------- */

static struct cubby_backend *open_file(const char *path) {
    return store_open(file_backend_open, path, 0);
}

static char *new_path(void) {
    return path_in(scratch_dir(), "store");
}

/* Path of the entry of a number. */
static char *entry_path(const char *store, const char *kind, unsigned number) {
    struct cubby_key key = key_of(number);
    char name[FILE_PATH_SIZE], *path;

    file_entry_path(&key, name);
    ck_assert_int_gt(asprintf(&path, "%s/%s/%s", store, kind, name), 0);
    return path;
}

/* Path of the folder in which that entry lies. */
static char *folder_path(const char *store, unsigned number) {
    char *path = entry_path(store, "object", number);

    *strrchr(path, '/') = '\0';
    return path;
}

static unsigned mode_of(const char *path) {
    struct stat status;

    ck_assert_int_eq(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void expect_mode(const char *folder, const char *name, unsigned mode) {
    char *path = path_in(folder, name);

    ck_assert_msg(mode_of(path) == mode, "%s: %04o", path, mode_of(path));
    free(path);
}

static bool is_there(const char *path) {
    return access(path, F_OK) == 0;
}

static void make_old(const char *path, int64_t seconds) {
    const struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};

    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Number of files below tmp, the evictor's lock left out. */
static unsigned temporaries;

static int count_temporary(const char *path, const struct stat *status, int type,
                           struct FTW *where) {
    (void)status;
    temporaries += type == FTW_F && strcmp(path + where->base, "evict.lock") != 0;
    return 0;
}

static unsigned count_temporaries(const char *store) {
    char *path = path_in(store, "tmp");

    temporaries = 0;
    ck_assert_int_eq(nftw(path, count_temporary, 8, FTW_PHYS), 0);
    free(path);
    return temporaries;
}

static int remove_any(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

/* ---- Its place --------------------------------------------------------------------------- */

START_TEST(test_modes) {
    static const mode_t MASKS[] = {0, 077};
    char *folder = strdup(scratch_dir());
    char *store = path_in(folder, "above/store"), *shard, *entry;
    mode_t before = umask(MASKS[_i]);
    struct cubby_backend *file = store_open(file_backend_open, store, 1 << 20);
    const struct cubby_counters delta = {.hits = 1};

    store_put(file, 1, 1, 100);
    ck_assert_int_eq(file->ops->count(file, &delta, NULL), 0);
    store_close(file);
    umask(before);
    shard = folder_path(store, 1);
    entry = entry_path(store, "object", 1);
    expect_mode(folder, "above", 0700);
    expect_mode(folder, "above/store", 0700);
    expect_mode(store, "object", 0700);
    expect_mode(store, "tmp", 0700);
    expect_mode(store, "counters", 0600);
    expect_mode(store, "CACHEDIR.TAG", 0600);
    ck_assert_uint_eq(mode_of(shard), 0700);
    ck_assert_uint_eq(mode_of(entry), 0600);
    free(entry);
    free(shard);
    free(store);
    free(folder);
}
END_TEST

START_TEST(test_tag) {
    static const char SIGNATURE[] = "Signature: 8a477f597d28d172789f06886806bc55\n";
    char *store = new_path(), *tag = path_in(store, "CACHEDIR.TAG"), *text;
    size_t size;

    store_close(open_file(store));
    text = read_whole(tag, &size);
    ck_assert_uint_gt(size, strlen(SIGNATURE));
    ck_assert_mem_eq(text, SIGNATURE, strlen(SIGNATURE));
    free(text);
    write_file(tag, "the user's own", 14);
    store_close(open_file(store));
    text = read_whole(tag, &size);
    ck_assert_str_eq(text, "the user's own");
    free(text);
    free(tag);
    free(store);
}
END_TEST

START_TEST(test_root_of_another) {
    char *store = new_path();

    if (is_root("root of another user")) {
        store_close(open_file(store));
        ck_assert_int_eq(chown(store, 12345, 0), 0);
        store_refused(file_backend_open, store, CUBBY_ERR_INVALID, store, "belongs to user 12345");
    }
    free(store);
}
END_TEST

START_TEST(test_root_that_others_may_write) {
    static const mode_t MODES[] = {0770, 0702, 0777, 01777};
    char *store = new_path();

    store_close(open_file(store));
    for (size_t i = 0; i < sizeof(MODES) / sizeof(*MODES); i++) {
        ck_assert_int_eq(chmod(store, MODES[i]), 0);
        store_refused(file_backend_open, store, CUBBY_ERR_INVALID, store, "chmod go-w");
    }
    ck_assert_int_eq(chmod(store, 0755), 0);
    store_close(open_file(store));
    free(store);
}
END_TEST

START_TEST(test_root_is_a_file) {
    char *store = new_path();

    write_file(store, "mine", 4);
    store_refused(file_backend_open, store, CUBBY_ERR_IO, store, "Not a directory");
    free(store);
}
END_TEST

/* ---- Links ------------------------------------------------------------------------------- */

/* The root itself may be a link: it is the target that must be trusted. */
START_TEST(test_root_is_a_link) {
    char *folder = strdup(scratch_dir()), *target = path_in(folder, "target"),
         *link = path_in(folder, "link"), *dangling = path_in(folder, "dangling");
    struct cubby_backend *file;

    ck_assert_int_eq(mkdir(target, 0700), 0);
    ck_assert_int_eq(symlink(target, link), 0);
    ck_assert_int_eq(symlink("nowhere", dangling), 0);
    file = open_file(link);
    store_put(file, 1, 1, 100);
    store_close(file);
    file = open_file(target);
    store_expect(file, 1, 1, 100);
    store_close(file);
    store_refused(file_backend_open, dangling, CUBBY_ERR_IO, dangling, "No such file");
    ck_assert_int_eq(chmod(target, 0777), 0);
    store_refused(file_backend_open, link, CUBBY_ERR_INVALID, link, "chmod go-w");
    free(dangling);
    free(link);
    free(target);
    free(folder);
}
END_TEST

START_TEST(test_folder_of_a_kind_is_a_link) {
    char *store = new_path(), *object = path_in(store, "object"), *outside = strdup(scratch_dir());

    store_close(open_file(store));
    ck_assert_int_eq(rmdir(object), 0);
    ck_assert_int_eq(symlink(outside, object), 0);
    store_refused(file_backend_open, store, CUBBY_ERR_IO, object, "cannot use");
    free(outside);
    free(object);
    free(store);
}
END_TEST

START_TEST(test_entry_is_a_link) {
    char *store = new_path(), *entry = entry_path(store, "object", 1), *outside;
    struct cubby_backend *file = open_file(store);
    size_t size;
    char *bytes;

    outside = path_in(scratch_dir(), "outside");
    store_put(file, 1, 1, 100);
    ck_assert_int_eq(rename(entry, outside), 0);
    ck_assert_int_eq(symlink(outside, entry), 0);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_CORRUPT);
    ck_assert_uint_eq(store_walk(file), 0);
    store_put(file, 1, 2, 50); /* replaces the link, not what it shows */
    store_expect(file, 1, 2, 50);
    bytes = read_whole(outside, &size);
    ck_assert_uint_eq(size, 100);
    ck_assert(is_blob_of(bytes, 100, 1));
    free(bytes);
    store_close(file);
    free(outside);
    free(entry);
    free(store);
}
END_TEST

/* Puts a link to an outside folder, in which a planted entry lies, in the place of a fan-out
 * folder. */
static struct cubby_backend *plant_folder(const char *store, char **ret_outside) {
    struct cubby_backend *file = open_file(store);
    char *shard = folder_path(store, 1);

    *ret_outside = path_in(scratch_dir(), "outside");
    store_put(file, 1, 1, 100);
    ck_assert_int_eq(rename(shard, *ret_outside), 0);
    ck_assert_int_eq(symlink(*ret_outside, shard), 0);
    free(shard);
    return file;
}

START_TEST(test_fan_out_folder_is_a_link) {
    char *store = new_path(), *outside, *planted;
    struct cubby_backend *file = plant_folder(store, &outside);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);
    char name[FILE_PATH_SIZE];

    file_entry_path(&key, name);
    planted = path_in(outside, name + 3);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_CORRUPT);
    ck_assert_uint_eq(store_walk(file), 0);
    ck_assert_int_ne(store_remove_code(file, 1), 0);
    ck_assert(is_there(planted));
    ck_ok(file->ops->clear(file, &error), &error);
    ck_assert(is_there(planted));
    store_put(file, 1, 2, 50); /* the link is replaced by a folder */
    store_expect(file, 1, 2, 50);
    ck_assert_int_eq(unlink(planted), 0);
    ck_assert_int_eq(rmdir(outside), 0); /* nothing was written there */
    store_expect(file, 1, 2, 50);
    store_close(file);
    free(planted);
    free(outside);
    free(store);
}
END_TEST

/* What else may lie in the place of an entry or of its folder: a put gets its key back. */
START_TEST(test_wrong_types_are_healed) {
    char *store = new_path(), *entry = entry_path(store, "object", 1),
         *shard = folder_path(store, 1);
    struct cubby_backend *file = open_file(store);

    write_file(shard, "not a folder", 12);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_CORRUPT);
    store_put(file, 1, 1, 100);
    store_expect(file, 1, 1, 100);
    ck_assert_int_eq(unlink(entry), 0);
    ck_assert_int_eq(mkdir(entry, 0700), 0);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_CORRUPT);
    store_put(file, 1, 1, 100);
    store_expect(file, 1, 1, 100);
    ck_assert_int_eq(unlink(entry), 0);
    ck_assert_int_eq(mkfifo(entry, 0600), 0);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_CORRUPT); /* and does not hang */
    store_put(file, 1, 1, 100);
    store_expect(file, 1, 1, 100);
    ck_assert_uint_eq(count_temporaries(store), 0);
    store_close(file);
    free(shard);
    free(entry);
    free(store);
}
END_TEST

/* ---- What is not ours -------------------------------------------------------------------- */

START_TEST(test_stale_temporaries) {
    char *store = new_path(), *old = path_in(store, "tmp/0123"),
         *young = path_in(store, "tmp/4567"), *folder = path_in(store, "tmp/folder");
    struct cubby_backend *file = open_file(store);

    write_file(old, "torn", 4);
    write_file(young, "under way", 9);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    make_old(old, 2 * 3600);
    make_old(young, 1800);
    make_old(folder, 2 * 3600);
    store_put(file, 1, 1, 100); /* swept by the first who writes, cap or not */
    ck_assert(!is_there(old));
    ck_assert(is_there(young));
    ck_assert(is_there(folder));
    make_old(young, 2 * 3600);
    ck_assert_int_eq(file->ops->clear(file, NULL), 0);
    ck_assert(!is_there(young));
    store_close(file);
    free(folder);
    free(young);
    free(old);
    free(store);
}
END_TEST

START_TEST(test_foreign_files) {
    static const char *const FOLDERS[] = {"lost+found", "object/lost+found", "object/zz"};
    static const char *const FILES[] = {"README", "object/README", "object/.nfs0000000000000001",
                                        "object/zz/note"};
    const struct cubby_trim_limits all = {.used_before = INT64_MAX};
    char *store = new_path(), *shard = folder_path(store, 1), *silly = path_in(shard, ".nfs02"),
         *path;
    struct cubby_backend *file = open_file(store);

    for (size_t i = 0; i < sizeof(FOLDERS) / sizeof(*FOLDERS); i++) {
        path = path_in(store, FOLDERS[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        free(path);
    }
    for (size_t i = 0; i < sizeof(FILES) / sizeof(*FILES); i++) {
        path = path_in(store, FILES[i]);
        write_file(path, "foreign", 7);
        free(path);
    }
    store_put(file, 1, 1, 100);
    write_file(silly, "held open by a client", 21);
    ck_assert_uint_eq(store_walk(file), 1);
    ck_assert_uint_eq(store_stats(file).bytes, 100);
    ck_assert_int_eq(file->ops->trim(file, &all, NULL, NULL), 0);
    store_put(file, 1, 1, 100);
    ck_assert_int_eq(file->ops->clear(file, NULL), 0);
    ck_assert_uint_eq(store_walk(file), 0);
    ck_assert(is_there(silly));
    for (size_t i = 0; i < sizeof(FILES) / sizeof(*FILES); i++) {
        path = path_in(store, FILES[i]);
        ck_assert_msg(is_there(path), "%s", path);
        free(path);
    }
    store_close(file);
    free(silly);
    free(shard);
    free(store);
}
END_TEST

/* ---- A place that fails ------------------------------------------------------------------ */

/* Asserts that a put fails and says where. */
static void expect_put_fails(struct cubby_backend *file, const char *store, unsigned number,
                             size_t size, int os_error) {
    struct cubby_error error = CUBBY_ERROR_INIT;

    ck_assert_int_eq(store_put_code(file, number, number, size, &error), CUBBY_ERR_IO);
    ck_assert_int_eq(error.os_error, os_error);
    ck_assert_msg(strstr(error.message, store), "%s", error.message);
    cubby_error_clear(&error);
}

/* With no descriptor left, a walk says so rather than that there is nothing. */
START_TEST(test_walk_without_descriptors) {
    char *store = new_path();
    struct cubby_backend *file = open_file(store);
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_store_stats stats;
    struct rlimit limit, none;
    int next;

    store_put(file, 1, 1, 100);
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(next, 0);
    close(next);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){(rlim_t)next, limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(file->ops->stats(file, &stats, &error), CUBBY_ERR_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(error.os_error, EMFILE);
    ck_assert_ptr_nonnull(strstr(error.message, store));
    cubby_error_clear(&error);
    ck_ok(file->ops->stats(file, &stats, &error), &error);
    ck_assert_uint_eq(stats.entries[CUBBY_ENTRY_OBJECT], 1);
    store_close(file);
    free(store);
}
END_TEST

START_TEST(test_root_deleted_while_open) {
    char *store = new_path();
    struct cubby_backend *file = store_open(file_backend_open, store, 1 << 20);
    const struct cubby_counters delta = {.hits = 1};

    store_put(file, 1, 1, 100);
    ck_assert_int_eq(nftw(store, remove_any, 8, FTW_DEPTH | FTW_PHYS), 0);
    ck_assert_int_eq(store_get_code(file, 1), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(store_remove_code(file, 1), CUBBY_ERR_NOT_FOUND);
    ck_assert_uint_eq(store_walk(file), 0);
    ck_assert_uint_eq(store_stats(file).bytes, 0);
    expect_put_fails(file, store, 2, 100, ENOENT);
    ck_assert_int_eq(file->ops->count(file, &delta, NULL), CUBBY_ERR_IO);
    ck_assert_int_eq(file->ops->clear(file, NULL), 0);
    store_close(file);
    file = open_file(store);
    store_put(file, 2, 2, 100);
    store_expect(file, 2, 2, 100);
    store_close(file);
    free(store);
}
END_TEST

static int take_write_right(const char *path, const struct stat *status, int type,
                            struct FTW *where) {
    (void)where;
    return chmod(path, type == FTW_F ? 0400 : (status->st_mode & 0500));
}

static void use_read_only_root(void *context) {
    struct cubby_backend *file;

    become_ordinary(context);
    file = open_file("store");
    store_put(file, 1, 1, 100);
    store_close(file);
    ck_assert_int_eq(nftw("store", take_write_right, 8, FTW_PHYS), 0);
    file = store_open(file_backend_open, "store", 1 << 20);
    store_expect(file, 1, 1, 100);
    expect_put_fails(file, "store", 2, 100, EACCES);
    ck_assert_int_eq(store_remove_code(file, 1), CUBBY_ERR_IO);
    ck_assert_int_eq(file->ops->clear(file, NULL), CUBBY_ERR_IO);
    store_expect(file, 1, 1, 100);
    store_close(file);
}

START_TEST(test_read_only_root) {
    if (is_root("read-only root"))
        end_child(start_child(use_read_only_root, (void *)scratch_dir()));
}
END_TEST

START_TEST(test_read_only_mount) {
    char *disk = small_disk_new(256), *store;
    struct cubby_backend *file;

    if (!disk)
        return;
    store = path_in(disk, "store");
    file = open_file(store);
    store_put(file, 1, 1, 100);
    store_close(file);
    ck_assert_int_eq(mount("tmpfs", disk, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    file = store_open(file_backend_open, store, 1 << 20);
    store_expect(file, 1, 1, 100);
    expect_put_fails(file, store, 2, 100, EROFS);
    store_close(file);
    free(store);
    small_disk_free(disk);
}
END_TEST

START_TEST(test_full_disk) {
    char *disk = small_disk_new(256), *store, *ballast;
    struct cubby_backend *file;

    if (!disk)
        return;
    store = path_in(disk, "store");
    ballast = path_in(disk, "ballast");
    file = open_file(store);
    store_put(file, 1, 1, 20000);
    fill_disk(ballast);
    expect_put_fails(file, store, 2, 20000, ENOSPC);
    expect_put_fails(file, store, 1, 30000, ENOSPC); /* leaves the old entry as it was */
    ck_assert_uint_eq(count_temporaries(store), 0);
    store_expect(file, 1, 1, 20000);
    ck_assert_int_eq(store_get_code(file, 2), CUBBY_ERR_NOT_FOUND);
    ck_assert_int_eq(unlink(ballast), 0);
    store_put(file, 2, 2, 20000);
    store_expect(file, 2, 2, 20000);
    store_close(file);
    free(ballast);
    free(store);
    small_disk_free(disk);
}
END_TEST

/* ---- Damage, as the cache above meets it ------------------------------------------------- */

static const char TEXT[] = "forty bytes of some program's own making";

static struct cubby_cache *open_cache(const char *store) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    char *spec;

    ck_assert_int_gt(asprintf(&spec, "file:%s", store), 0);
    ck_ok(cubby_cache_open(spec, &cache, &error), &error);
    ck_assert_uint_eq(cubby_cache_tier_count(cache), 1);
    free(spec);
    return cache;
}

static bool cache_has(struct cubby_cache *cache) {
    struct cubby_key key = key_of(1);
    struct cubby_object *object;

    if (cubby_cache_get(cache, CUBBY_ENTRY_USER, &key, &object, NULL, NULL) < 0)
        return false;
    ck_assert_uint_eq(cubby_object_size(object), sizeof(TEXT));
    ck_assert_mem_eq(cubby_object_data(object), TEXT, sizeof(TEXT));
    cubby_object_unref(object);
    return true;
}

/* Writes damaged bytes in the entry's place: a miss, the entry gone, healed by the next put. */
static void expect_healed(struct cubby_cache *cache, const char *entry, const void *bytes,
                          size_t size) {
    struct cubby_key key = key_of(1);

    write_file(entry, bytes, size);
    ck_assert(!cache_has(cache));
    ck_assert(!is_there(entry));
    ck_assert_int_eq(cubby_cache_put(cache, &key, TEXT, sizeof(TEXT), NULL), 0);
    ck_assert(cache_has(cache));
}

START_TEST(test_damage) {
    char *store = new_path(), *entry = entry_path(store, "user", 1), *good, *bad;
    struct cubby_cache *cache = open_cache(store);
    struct cubby_key key = key_of(1), other = key_of(2);
    size_t size;

    ck_assert_int_eq(cubby_cache_put(cache, &key, TEXT, sizeof(TEXT), NULL), 0);
    good = read_whole(entry, &size);
    bad = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        memcpy(bad, good, size);
        bad[i] ^= (char)(1 << i % 8);
        expect_healed(cache, entry, bad, size);
    }
    for (size_t i = 0; i < size; i++)
        expect_healed(cache, entry, good, i);
    memcpy(bad, good, size);
    bad[size] = 'x';
    expect_healed(cache, entry, bad, size + 1);
    free(bad);
    free(good);

    /* A good entry under another's name. */
    ck_assert_int_eq(cubby_cache_put(cache, &other, TEXT, sizeof(TEXT), NULL), 0);
    bad = entry_path(store, "user", 2);
    good = read_whole(bad, &size);
    expect_healed(cache, entry, good, size);
    cubby_cache_unref(cache);
    free(bad);
    free(good);
    free(entry);
    free(store);
}
END_TEST

/* A file of a petabyte, all of it a hole: no memory is asked for on its word, nothing has to make
 * room for it, and it goes like any other damage. */
START_TEST(test_a_huge_hole_is_damage) {
    char *store = new_path(), *entry = entry_path(store, "user", 1);
    char *other_entry = entry_path(store, "user", 2);
    struct cubby_cache *cache = open_cache(store);
    const struct cubby_trim_limits limits = {.max_size = 1 << 20};
    struct cubby_key key = key_of(1), other = key_of(2);
    struct cubby_verify_result found;
    struct cubby_trimmed trimmed;

    ck_assert_int_eq(cubby_cache_put(cache, &key, TEXT, sizeof(TEXT), NULL), 0);
    ck_assert_int_eq(cubby_cache_put(cache, &other, TEXT, sizeof(TEXT), NULL), 0);
    for (int largest = 0; largest < 2; largest++) {
        /* The second is as large as ext4 lets a file be, about. */
        ck_assert_int_eq(truncate(entry, largest ? (off_t)15 << 40 : ((off_t)1 << 30) + 1), 0);
        ck_assert_int_eq(cubby_cache_verify(cache, 0, NULL, NULL, &found, NULL), 0);
        ck_assert_uint_eq(found.damaged, 1);
        ck_assert(!cache_has(cache));
        ck_assert(!is_there(entry));
        ck_assert_int_eq(cubby_cache_put(cache, &key, TEXT, sizeof(TEXT), NULL), 0);
        ck_assert(cache_has(cache));
    }
    ck_assert_int_eq(truncate(entry, (off_t)15 << 40), 0);
    ck_assert_int_eq(cubby_cache_trim(cache, &limits, &trimmed, NULL), 0);
    ck_assert_uint_eq(trimmed.entries, 0);
    ck_assert(!is_there(entry));
    ck_assert(is_there(other_entry));
    cubby_cache_unref(cache);
    free(other_entry);
    free(entry);
    free(store);
}
END_TEST

START_TEST(test_put_of_more_than_the_largest_entry) {
    char *store = new_path();
    struct cubby_cache *cache = open_cache(store);
    struct cubby_blob *blob = cubby_blob_new(CUBBY_ENTRY_MAX_SIZE + 1); /* never written to */
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_key key = key_of(1);

    ck_assert_ptr_nonnull(blob);
    ck_assert_int_eq(cache_store(cache, CUBBY_ENTRY_USER, &key, blob, &error), CUBBY_ERR_IO);
    ck_assert_msg(strstr(error.message, "at most 1 GiB") != NULL, "%s", error.message);
    cubby_error_clear(&error);
    cubby_blob_unref(blob);
    cubby_cache_unref(cache);
    free(store);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_modes, 0, 2);
    tcase_add_test(tcase, test_tag);
    tcase_add_test(tcase, test_root_of_another);
    tcase_add_test(tcase, test_root_that_others_may_write);
    tcase_add_test(tcase, test_root_is_a_file);
    tcase_add_test(tcase, test_root_is_a_link);
    tcase_add_test(tcase, test_folder_of_a_kind_is_a_link);
    tcase_add_test(tcase, test_entry_is_a_link);
    tcase_add_test(tcase, test_fan_out_folder_is_a_link);
    tcase_add_test(tcase, test_wrong_types_are_healed);
    tcase_add_test(tcase, test_stale_temporaries);
    tcase_add_test(tcase, test_foreign_files);
    tcase_add_test(tcase, test_walk_without_descriptors);
    tcase_add_test(tcase, test_root_deleted_while_open);
    tcase_add_test(tcase, test_read_only_root);
    tcase_add_test(tcase, test_read_only_mount);
    tcase_add_test(tcase, test_full_disk);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_a_huge_hole_is_damage);
    tcase_add_test(tcase, test_put_of_more_than_the_largest_entry);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
