/* SPDX-License-Identifier: Apache-2.0 */
/* Which set of a manifest holds with the files as they are. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deps_help.h"
#include "harness.h"

/* ---- Which set holds --------------------------------------------------------------------- */

START_TEST(test_newest_first) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps loose = DEPS_INIT, tight = DEPS_INIT;

    write_text("a.h", "a");
    dep_add_file(&loose, "a.h");
    dep_add_file(&tight, "a.h");
    dep_add(&tight, "none.h", DEP_MISSING);
    put_set(&manifest, &loose, 1);
    put_set(&manifest, &tight, 2);
    ck_assert_int_eq(set_that_holds(&manifest), 2);
    write_text("none.h", "");
    ck_assert_int_eq(set_that_holds(&manifest), 1);
    put_set(&manifest, &loose, 3);
    ck_assert_int_eq(set_that_holds(&manifest), 3);
    manifest_free(&manifest);
    deps_free(&loose);
    deps_free(&tight);
}
END_TEST

/* What lies at a path, and for which kinds that will do. */
static const struct {
    const char *what;
    bool present, missing, unusable;
} SIGHTS[] = {
    {"file", true, false, false},         {"nothing", false, true, true},
    {"folder", false, false, true},       {"dangling link", false, true, true},
    {"link to file", true, false, false},
};

static void make_sight(const char *what) {
    if (strcmp(what, "file") == 0)
        write_text("p", "x");
    else if (strcmp(what, "folder") == 0)
        ck_assert_int_eq(mkdir("p", 0700), 0);
    else if (strcmp(what, "dangling link") == 0)
        ck_assert_int_eq(symlink("nowhere", "p"), 0);
    else if (strcmp(what, "link to file") == 0) {
        write_text("target", "x");
        ck_assert_int_eq(symlink("target", "p"), 0);
    }
}

static bool kind_holds(enum dep_kind kind) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;
    bool result;

    dep_add(&deps, "p", kind);
    put_set(&manifest, &deps, 1);
    result = set_that_holds(&manifest) == 1;
    manifest_free(&manifest);
    deps_free(&deps);
    return result;
}

START_TEST(test_kinds_of_place) {
    struct file_stamp stamp;
    enum dep_kind seen;

    make_sight(SIGHTS[_i].what);
    ck_assert_int_eq(kind_holds(DEP_PRESENT), SIGHTS[_i].present);
    ck_assert_int_eq(kind_holds(DEP_MISSING), SIGHTS[_i].missing);
    ck_assert_int_eq(kind_holds(DEP_UNUSABLE), SIGHTS[_i].unusable);
    seen = dep_look("p", &stamp); /* what is seen now holds now */
    ck_assert(kind_holds(seen));
}
END_TEST

/* Whatever was edited, however it hides. */
START_TEST(test_edits_are_noticed) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;

    write_text("a.h", "one");
    dep_add_file(&deps, "a.h");
    deps_trust(&deps);
    put_set(&manifest, &deps, 1);
    ck_assert_int_eq(set_that_holds(&manifest), 1);
    nanosleep(&(struct timespec){0, 20000000}, NULL); /* the coarse clock has to tick */
    edit_in_secret("a.h", "two");
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    edit_in_secret("a.h", "one");
    ck_assert_int_eq(set_that_holds(&manifest), 1);
    write_text("aside", "two"); /* another file in its place */
    set_mtime("aside", deps.items[0].stamp.mtime_ns / 1000000000);
    ck_assert_int_eq(rename("aside", "a.h"), 0);
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    write_text("a.h", "longer");
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    ck_assert_int_eq(unlink("a.h"), 0);
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    ck_assert_int_eq(mkdir("a.h", 0700), 0);
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    manifest_free(&manifest);
    deps_free(&deps);
}
END_TEST

/* The manifest says another digest than the file has: only who reads the file can tell. */
static int match_of_wrong_digest(int64_t settled_ns) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;
    int result;

    dep_add_file(&deps, "a.h");
    deps.items[0].digest = key_of(77);
    deps.settled_ns = settled_ns;
    put_set(&manifest, &deps, 1);
    result = set_that_holds(&manifest);
    manifest_free(&manifest);
    deps_free(&deps);
    return result;
}

START_TEST(test_young_files_are_read) {
    write_text("a.h", "one");
    ck_assert_int_eq(match_of_wrong_digest(file_stamp_settled_ns()), -1);
    ck_assert_int_eq(match_of_wrong_digest(INT64_MAX), 1); /* an old one is not */
    set_mtime("a.h", 1000); /* an old time alone makes no old file: it can be set */
    ck_assert_int_eq(match_of_wrong_digest(file_stamp_settled_ns()), -1);
}
END_TEST

/* A file touched is read once, and its new stamps are remembered once they can be trusted. */
START_TEST(test_touched_file_is_refreshed) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps deps = DEPS_INIT;
    unsigned char *bytes;
    bool refreshed;
    size_t size;

    write_text("a.h", "one");
    dep_add_file(&deps, "a.h");
    put_set(&manifest, &deps, 1);
    ck_assert_int_eq(match_set(&manifest, false, &refreshed), 1);
    ck_assert(!refreshed); /* still too young */
    ck_assert_int_eq(sleep(3), 0);
    ck_assert_int_eq(match_set(&manifest, false, &refreshed), 1);
    ck_assert(refreshed);
    bytes = encode_exactly(&manifest, &size);
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    ck_assert(back.files[0].settled);
    ck_assert_int_eq(match_set(&back, false, &refreshed), 1);
    ck_assert(!refreshed); /* nothing was left to learn */
    manifest_free(&back);
    manifest_free(&manifest);
    deps_free(&deps);
    free(bytes);
}
END_TEST

/* What is learned about the files of a set that does not hold is of no use. */
START_TEST(test_no_refresh_without_a_set) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;
    bool refreshed;

    write_text("a.h", "one");
    dep_add_file(&deps, "a.h");
    dep_add(&deps, "none.h", DEP_MISSING);
    put_set(&manifest, &deps, 1);
    write_text("none.h", "");
    manifest.files[0].stamp.inode++; /* as another file would have */
    ck_assert_int_eq(sleep(3), 0);   /* the stamps of this one could be trusted */
    ck_assert_int_eq(match_set(&manifest, false, &refreshed), -1);
    ck_assert(!refreshed);
    manifest_free(&manifest);
    deps_free(&deps);
}
END_TEST

/* They mean what they mean to the compiler: a file below the current folder. */
START_TEST(test_relative_paths) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;

    write_text("a.h", "one");
    dep_add_file(&deps, "a.h");
    dep_add(&deps, "b.h", DEP_MISSING);
    deps_trust(&deps);
    put_set(&manifest, &deps, 1);
    ck_assert_int_eq(set_that_holds(&manifest), 1);
    enter_scratch();
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    write_text("a.h", "two");
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    write_text("a.h", "one");
    ck_assert_int_eq(set_that_holds(&manifest), 1);
    write_text("b.h", "");
    ck_assert_int_eq(set_that_holds(&manifest), -1);
    manifest_free(&manifest);
    deps_free(&deps);
}
END_TEST

START_TEST(test_strict) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;

    write_text("a.h", "one");
    set_mtime("a.h", 1000);
    dep_add_file(&deps, "a.h");
    put_set(&manifest, &deps, 1);
    ck_assert_int_eq(match_set(&manifest, true, NULL), 1);
    set_mtime("a.h", 2000);
    ck_assert_int_eq(match_set(&manifest, true, NULL), -1);
    ck_assert_int_eq(match_set(&manifest, false, NULL), 1);
    manifest_free(&manifest);
    deps_free(&deps);
}
END_TEST

/* One header with two time stamps, in two sets that another header tells apart: where stamps
 * count, the older set must not hold with the younger stamp. */
START_TEST(test_strict_sets_do_not_share_stamps) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    struct cubby_key one = key_of(1), two = key_of(2);

    write_text("f.h", "same");
    write_text("g.h", "g1");
    set_mtime("f.h", 1000);
    set_mtime("g.h", 1000);
    dep_add_file(&first, "f.h");
    dep_add_file(&first, "g.h");
    ck_assert_int_eq(manifest_add(&manifest, &first, true, &one), 0);
    set_mtime("f.h", 2000);
    write_text("g.h", "g2");
    set_mtime("g.h", 1000);
    dep_add_file(&second, "f.h");
    dep_add_file(&second, "g.h");
    ck_assert_int_eq(manifest_add(&manifest, &second, true, &two), 0);
    ck_assert_int_eq(match_set(&manifest, true, NULL), 2);
    write_text("g.h", "g1");
    set_mtime("g.h", 1000);
    ck_assert_int_eq(match_set(&manifest, true, NULL), -1);
    set_mtime("f.h", 1000);
    ck_assert_int_eq(match_set(&manifest, true, NULL), 1);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("manifest_match");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, enter_scratch, NULL);
    tcase_add_test(tcase, test_newest_first);
    tcase_add_loop_test(tcase, test_kinds_of_place, 0, sizeof(SIGHTS) / sizeof(*SIGHTS));
    tcase_add_test(tcase, test_edits_are_noticed);
    tcase_add_test(tcase, test_young_files_are_read);
    tcase_add_test(tcase, test_touched_file_is_refreshed);
    tcase_add_test(tcase, test_no_refresh_without_a_set);
    tcase_add_test(tcase, test_relative_paths);
    tcase_add_test(tcase, test_strict);
    tcase_add_test(tcase, test_strict_sets_do_not_share_stamps);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
