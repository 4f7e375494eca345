/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest as data: sorting what was depended on, its bytes, its bounds, merging. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deps_help.h"
#include "harness.h"

/* ---- Sorting ----------------------------------------------------------------------------- */

START_TEST(test_sort_orders_and_keeps_one) {
    struct deps deps = DEPS_INIT;

    write_text("b.h", "b");
    dep_add_file(&deps, "b.h");
    dep_add(&deps, "z.h", DEP_MISSING);
    dep_add(&deps, "a.h", DEP_UNUSABLE);
    dep_add(&deps, "b.h", DEP_PRESENT); /* a file of known content is also there */
    dep_add_file(&deps, "b.h");
    dep_add(&deps, "z.h", DEP_MISSING);
    ck_assert(deps_sort(&deps));
    ck_assert_uint_eq(deps.count, 3);
    ck_assert_str_eq(deps.items[0].path, "a.h");
    ck_assert_str_eq(deps.items[1].path, "b.h");
    ck_assert_int_eq(deps.items[1].kind, DEP_FILE);
    ck_assert_str_eq(deps.items[2].path, "z.h");
    deps_free(&deps);
    ck_assert(deps_sort(&deps)); /* nothing at all is in order as well */
}
END_TEST

START_TEST(test_sort_shortens_what_is_missing) {
    struct deps deps = DEPS_INIT;

    ck_assert_int_eq(mkdir("there", 0700), 0);
    dep_add(&deps, "none/deep/a.h", DEP_MISSING);
    dep_add(&deps, "none/b.h", DEP_MISSING);
    dep_add(&deps, "there/none/c.h", DEP_MISSING);
    dep_add(&deps, "there/d.h", DEP_MISSING);
    dep_add(&deps, "//no-such-folder/e.h", DEP_MISSING);
    dep_add(&deps, "there/none/f.h", DEP_UNUSABLE); /* only what is missing is */
    ck_assert(deps_sort(&deps));
    ck_assert_uint_eq(deps.count, 5);
    ck_assert_str_eq(deps.items[0].path, "//no-such-folder");
    ck_assert_str_eq(deps.items[1].path, "none");
    ck_assert_str_eq(deps.items[2].path, "there/d.h");
    ck_assert_str_eq(deps.items[3].path, "there/none");
    ck_assert_str_eq(deps.items[4].path, "there/none/f.h");
    deps_free(&deps);
}
END_TEST

static const enum dep_kind CONTRADICTIONS[][2] = {
    {DEP_FILE, DEP_MISSING},     {DEP_FILE, DEP_UNUSABLE},    {DEP_PRESENT, DEP_MISSING},
    {DEP_PRESENT, DEP_UNUSABLE}, {DEP_MISSING, DEP_UNUSABLE},
};

START_TEST(test_sort_sees_contradictions) {
    struct deps deps = DEPS_INIT;

    dep_add(&deps, "a.h", CONTRADICTIONS[_i][1]);
    dep_add(&deps, "a.h", CONTRADICTIONS[_i][0]);
    ck_assert(!deps_sort(&deps));
    deps_free(&deps);
}
END_TEST

START_TEST(test_sort_sees_a_file_that_changed) {
    struct deps deps = DEPS_INIT;

    write_text("a.h", "one");
    dep_add_file(&deps, "a.h");
    write_text("a.h", "another");
    dep_add_file(&deps, "a.h");
    ck_assert(!deps_sort(&deps));
    deps_free(&deps);
}
END_TEST

START_TEST(test_object_key) {
    struct cubby_key program = key_of(1), other = key_of(2), one, two;
    struct deps deps = DEPS_INIT, again = DEPS_INIT;

    write_text("a.h", "one");
    set_mtime("a.h", 1000);
    dep_add_file(&deps, "a.h");
    manifest_object_key(&program, &deps, false, &one);
    manifest_object_key(&other, &deps, false, &two);
    ck_assert(!same_key(&one, &two));
    manifest_object_key(&program, &deps, true, &two);
    ck_assert(!same_key(&one, &two));
    set_mtime("a.h", 2000); /* the time counts where it is strict */
    dep_add_file(&again, "a.h");
    manifest_object_key(&program, &again, false, &two);
    ck_assert(same_key(&one, &two));
    manifest_object_key(&program, &deps, true, &one);
    manifest_object_key(&program, &again, true, &two);
    ck_assert(!same_key(&one, &two));
    deps_free(&deps);
    deps_free(&again);
}
END_TEST

/* What __has_include asked for decides what was compiled, though nothing of it was read. */
START_TEST(test_object_key_holds_what_was_probed) {
    static const enum dep_kind KINDS[] = {DEP_MISSING, DEP_PRESENT, DEP_UNUSABLE};
    struct cubby_key program = key_of(1), keys[4];

    for (size_t i = 0; i < 4; i++) {
        struct deps deps = DEPS_INIT;

        if (i < 3)
            dep_add(&deps, "a.h", KINDS[i]);
        manifest_object_key(&program, &deps, false, &keys[i]);
        for (size_t j = 0; j < i; j++)
            ck_assert(!same_key(&keys[i], &keys[j]));
        deps_free(&deps);
    }
}
END_TEST

/* ---- Bytes ------------------------------------------------------------------------------- */

/* Two sets that share a file and a place. */
static void make_two_sets(struct manifest *manifest, struct deps *first, struct deps *second) {
    write_text("shared.h", "shared");
    write_text("own.h", "own");
    dep_add_file(first, "shared.h");
    dep_add(first, "none.h", DEP_MISSING);
    dep_add(first, ".", DEP_UNUSABLE);
    dep_add_file(second, "own.h");
    dep_add_file(second, "shared.h");
    dep_add(second, "none.h", DEP_MISSING);
    ck_assert(deps_sort(first) && deps_sort(second));
    deps_trust(second);
    put_set(manifest, first, 1);
    put_set(manifest, second, 2);
}

START_TEST(test_round_trip) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    unsigned char *bytes, *again;
    size_t size, again_size;

    make_two_sets(&manifest, &first, &second);
    bytes = encode_exactly(&manifest, &size);
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    ck_assert_uint_eq(back.path_count, 4);
    ck_assert_uint_eq(back.file_count, 2);
    ck_assert_uint_eq(back.set_count, 2);
    for (uint32_t i = 0; i < back.file_count; i++) {
        ck_assert_str_eq(back.paths[back.files[i].path], i == 0 ? "shared.h" : "own.h");
        ck_assert(file_stamp_equal(&back.files[i].stamp, &manifest.files[i].stamp));
        ck_assert(same_key(&back.files[i].digest, &manifest.files[i].digest));
        ck_assert(back.files[i].settled); /* the set put last was trusted */
    }
    ck_assert_uint_eq(back.sets[0].file_count, 2);
    ck_assert_uint_eq(back.sets[1].file_count, 1);
    ck_assert_uint_eq(back.sets[1].other_count, 2);
    again = encode_exactly(&back, &again_size);
    ck_assert_uint_eq(again_size, size);
    ck_assert_mem_eq(again, bytes, size);
    manifest_free(&back);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
    free(again);
    free(bytes);
}
END_TEST

/* Everything that is done with a manifest, with one that says who knows what. */
static void use(const unsigned char *bytes, size_t size) {
    struct manifest manifest, merged = MANIFEST_INIT;
    const struct manifest_set *set;
    bool refreshed;
    int result = manifest_decode(bytes, size, &manifest);

    if (result != 0) {
        ck_assert_int_eq(result, CUBBY_ERR_CORRUPT);
        return;
    }
    ck_assert_uint_le(manifest.set_count, MANIFEST_MAX_SETS);
    manifest_match(&manifest, true, &set, &refreshed);
    manifest_match(&manifest, false, &set, &refreshed);
    ck_assert_int_eq(manifest_merge(&merged, &manifest, true), 0);
    free(encode_exactly(&merged, &size));
    manifest_free(&merged);
    manifest_free(&manifest);
}

START_TEST(test_every_damage_is_harmless) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    unsigned char *bytes;
    size_t size;

    make_two_sets(&manifest, &first, &second);
    bytes = encode_exactly(&manifest, &size);
    for (size_t i = 0; i < size; i++) {
        static const unsigned char MASKS[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};

        for (size_t j = 0; j < sizeof(MASKS); j++) {
            bytes[i] ^= MASKS[j];
            use(bytes, size);
            bytes[i] ^= MASKS[j];
        }
    }
    use(bytes, size);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
    free(bytes);
}
END_TEST

START_TEST(test_every_truncation_is_corrupt) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    unsigned char *bytes;
    size_t size;

    make_two_sets(&manifest, &first, &second);
    bytes = encode_exactly(&manifest, &size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut ? cut : 1);

        memcpy(part, bytes, cut);
        ck_assert_int_eq(manifest_decode(part, cut, &back), CUBBY_ERR_CORRUPT);
        free(part);
    }
    bytes = realloc(bytes, size + 1); /* and so is what goes on after its end */
    bytes[size] = 0;
    ck_assert_int_eq(manifest_decode(bytes, size + 1, &back), CUBBY_ERR_CORRUPT);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
    free(bytes);
}
END_TEST

/* Counts that would ask for more memory than there are bytes, or wrap around. */
START_TEST(test_absurd_counts_are_corrupt) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    unsigned char *bytes, kept[4];
    size_t size;

    make_two_sets(&manifest, &first, &second);
    bytes = encode_exactly(&manifest, &size);
    for (size_t field = 0; field < 5; field++) {
        static const uint32_t COUNTS[] = {0xffffffffu, 0x80000000u, 0x40000000u, 0x33333334u, 33};

        memcpy(kept, bytes + 4 * field, 4);
        for (size_t i = 0; i < 5; i++) {
            memcpy(bytes + 4 * field, &COUNTS[i], 4);
            ck_assert_int_eq(manifest_decode(bytes, size, &back), CUBBY_ERR_CORRUPT);
        }
        memcpy(bytes + 4 * field, kept, 4);
    }
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    manifest_free(&back);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
    free(bytes);
}
END_TEST

static void put_number(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

/* What a number in the bytes makes of them; it is put back. */
static int decode_with(unsigned char *bytes, size_t size, size_t offset, uint32_t value) {
    struct manifest manifest;
    unsigned char kept[4];
    int result;

    memcpy(kept, bytes + offset, 4);
    put_number(bytes + offset, value);
    result = manifest_decode(bytes, size, &manifest);
    memcpy(bytes + offset, kept, 4);
    if (result == 0)
        manifest_free(&manifest);
    return result;
}

/* Of four paths and two files; the last set has one file and two places. */
START_TEST(test_indices_are_bounded) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps first = DEPS_INIT, second = DEPS_INIT;
    unsigned char *bytes;
    size_t size, files;

    make_two_sets(&manifest, &first, &second);
    bytes = encode_exactly(&manifest, &size);
    files = 20 + (bytes[16] | (size_t)bytes[17] << 8);
    ck_assert_int_eq(decode_with(bytes, size, size - 4, 4 * DEP_KINDS - 1), 0);
    ck_assert_int_eq(decode_with(bytes, size, size - 4, 4 * DEP_KINDS), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(decode_with(bytes, size, size - 12, 1), 0);
    ck_assert_int_eq(decode_with(bytes, size, size - 12, 2), CUBBY_ERR_CORRUPT);
    ck_assert_int_eq(decode_with(bytes, size, files, 3), 0);
    ck_assert_int_eq(decode_with(bytes, size, files, 4), CUBBY_ERR_CORRUPT);
    manifest_free(&manifest);
    deps_free(&first);
    deps_free(&second);
    free(bytes);
}
END_TEST

/* One set more than there is room for. */
START_TEST(test_too_many_sets_are_corrupt) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps none = DEPS_INIT;
    unsigned char *bytes;
    size_t size;

    for (unsigned i = 0; i < MANIFEST_MAX_SETS; i++)
        put_set(&manifest, &none, i);
    bytes = encode_exactly(&manifest, &size);
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    manifest_free(&back);
    bytes = realloc(bytes, size + 40);
    memcpy(bytes + size, bytes + size - 40, 40);
    put_number(bytes + 12, MANIFEST_MAX_SETS + 1);
    ck_assert_int_eq(manifest_decode(bytes, size + 40, &back), CUBBY_ERR_CORRUPT);
    manifest_free(&manifest);
    free(bytes);
}
END_TEST

/* ---- Bounds ------------------------------------------------------------------------------ */

START_TEST(test_bounded_number_of_sets) {
    struct manifest manifest = MANIFEST_INIT, back;
    struct deps deps[40] = {DEPS_INIT};
    unsigned char *bytes;
    size_t size;

    for (unsigned i = 0; i < 40; i++) {
        char own[16];

        number_deps(&deps[i], i);
        snprintf(own, sizeof(own), "own-%u.h", i);
        dep_add(&deps[i], own, DEP_MISSING);
        put_set(&manifest, &deps[i], i);
    }
    ck_assert_uint_eq(manifest.set_count, MANIFEST_MAX_SETS);
    for (unsigned i = 0; i < MANIFEST_MAX_SETS; i++) {
        struct cubby_key key = key_of(39 - i);

        ck_assert(same_key(&manifest.sets[i].key, &key));
    }
    /* What only the sets that went had is not written any more. */
    bytes = encode_exactly(&manifest, &size);
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    ck_assert_uint_eq(back.path_count, MANIFEST_MAX_SETS + 1);
    ck_assert_uint_eq(back.file_count, MANIFEST_MAX_SETS);
    ck_assert_int_eq(set_that_holds(&back), 39);
    write_text("n.h", "n8"); /* the oldest that is kept */
    ck_assert_int_eq(set_that_holds(&back), 8);
    write_text("n.h", "n7");
    manifest_free(&back);
    ck_assert_int_eq(manifest_decode(bytes, size, &back), 0);
    ck_assert_int_eq(set_that_holds(&back), -1);
    manifest_free(&back);
    manifest_free(&manifest);
    for (unsigned i = 0; i < 40; i++)
        deps_free(&deps[i]);
    free(bytes);
}
END_TEST

START_TEST(test_same_key_is_replaced) {
    struct manifest manifest = MANIFEST_INIT;
    struct deps old = DEPS_INIT, other = DEPS_INIT, renewed = DEPS_INIT;
    struct cubby_key key = key_of(1);

    number_deps(&old, 1);
    put_set(&manifest, &old, 1);
    number_deps(&other, 2);
    put_set(&manifest, &other, 2);
    number_deps(&renewed, 1);
    dep_add(&renewed, "more.h", DEP_MISSING);
    put_set(&manifest, &renewed, 1);
    ck_assert_uint_eq(manifest.set_count, 2);
    ck_assert(same_key(&manifest.sets[0].key, &key));
    ck_assert_uint_eq(manifest.sets[0].other_count, 1);
    manifest_free(&manifest);
    deps_free(&old);
    deps_free(&other);
    deps_free(&renewed);
}
END_TEST

START_TEST(test_merge) {
    struct manifest mine = MANIFEST_INIT, theirs = MANIFEST_INIT;
    struct deps deps[4] = {DEPS_INIT};

    for (unsigned i = 0; i < 4; i++)
        number_deps(&deps[i], i);
    dep_add(&deps[2], "theirs.h", DEP_MISSING);
    dep_add(&deps[0], "mine.h", DEP_MISSING); /* so that theirs get other indices */
    put_set(&mine, &deps[0], 0);
    put_set(&mine, &deps[1], 1);
    put_set(&theirs, &deps[1], 1);
    put_set(&theirs, &deps[2], 2);
    put_set(&theirs, &deps[3], 3);
    ck_assert_int_eq(manifest_merge(&mine, &theirs, false), 0);
    ck_assert_uint_eq(mine.set_count, 4); /* mine first, then theirs, each once */
    for (unsigned i = 0; i < 4; i++) {
        struct cubby_key key = key_of((unsigned[]){1, 0, 3, 2}[i]);

        ck_assert(same_key(&mine.sets[i].key, &key));
    }
    ck_assert_uint_eq(mine.path_count, 3);
    ck_assert_uint_eq(mine.file_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        char text[16];

        snprintf(text, sizeof(text), "n%u", i);
        write_text("n.h", text);
        ck_assert_int_eq(set_that_holds(&mine), (int)i);
    }
    write_text("n.h", "n2");
    write_text("theirs.h", "");
    ck_assert_int_eq(set_that_holds(&mine), -1);
    manifest_free(&mine);
    manifest_free(&theirs);
    for (unsigned i = 0; i < 4; i++)
        deps_free(&deps[i]);
}
END_TEST

START_TEST(test_merge_keeps_the_bound) {
    struct manifest mine = MANIFEST_INIT, theirs = MANIFEST_INIT;
    struct deps deps = DEPS_INIT;
    struct cubby_key last = key_of(49);

    number_deps(&deps, 0);
    for (unsigned i = 0; i < 30; i++) {
        put_set(&mine, &deps, i);
        put_set(&theirs, &deps, 20 + i);
    }
    ck_assert_int_eq(manifest_merge(&mine, &theirs, false), 0);
    ck_assert_uint_eq(mine.set_count, MANIFEST_MAX_SETS);
    ck_assert(same_key(&mine.sets[30].key, &last)); /* their newest */
    manifest_free(&mine);
    manifest_free(&theirs);
    deps_free(&deps);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("manifest");
    TCase *tcase = tcase_create("all");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, enter_scratch, NULL);
    tcase_add_test(tcase, test_sort_orders_and_keeps_one);
    tcase_add_test(tcase, test_sort_shortens_what_is_missing);
    tcase_add_loop_test(tcase, test_sort_sees_contradictions, 0,
                        sizeof(CONTRADICTIONS) / sizeof(*CONTRADICTIONS));
    tcase_add_test(tcase, test_sort_sees_a_file_that_changed);
    tcase_add_test(tcase, test_object_key);
    tcase_add_test(tcase, test_object_key_holds_what_was_probed);
    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_every_damage_is_harmless);
    tcase_add_test(tcase, test_every_truncation_is_corrupt);
    tcase_add_test(tcase, test_absurd_counts_are_corrupt);
    tcase_add_test(tcase, test_indices_are_bounded);
    tcase_add_test(tcase, test_too_many_sets_are_corrupt);
    tcase_add_test(tcase, test_bounded_number_of_sets);
    tcase_add_test(tcase, test_same_key_is_replaced);
    tcase_add_test(tcase, test_merge);
    tcase_add_test(tcase, test_merge_keeps_the_bound);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
