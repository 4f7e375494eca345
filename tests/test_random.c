/* SPDX-License-Identifier: Apache-2.0 */
/* Contents for tensors that nobody gave, and what measurements come to. */
#include <string.h>

#include "cli/random.h"
#include "cli/timing.h"
#include "harness.h"

#define COUNT 20000
#define EMPTY_NAME UINT64_C(0xcbf29ce484222325) /* FNV-1a of no bytes */

START_TEST(test_numbers_are_those_of_splitmix64) {
    /* The generator's well-known first numbers for the state 1234567: their top four bits. */
    const uint64_t known[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                              4593380528125082431u, 16408922859458223821u};
    uint64_t got[5];
    int64_t with_sign[5];
    bool bits[5];

    random_fill(1234567 ^ EMPTY_NAME, "", CUBBY_DTYPE_UINT64, got, 5);
    random_fill(1234567 ^ EMPTY_NAME, "", CUBBY_DTYPE_INT64, with_sign, 5);
    random_fill(1234567 ^ EMPTY_NAME, "", CUBBY_DTYPE_BOOL, bits, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(got[i], known[i] >> 60);
        ck_assert_int_eq(with_sign[i], (int64_t)(known[i] >> 60) - 8);
        ck_assert_int_eq(bits[i], known[i] >> 63);
    }
}
END_TEST

START_TEST(test_floats_are_the_top_digits) {
    const uint64_t known = 6457827717110365317u;
    double eight;
    float four;

    random_fill(1234567 ^ EMPTY_NAME, "", CUBBY_DTYPE_FLOAT64, &eight, 1);
    random_fill(1234567 ^ EMPTY_NAME, "", CUBBY_DTYPE_FLOAT32, &four, 1);
    ck_assert(eight == (double)(known >> 11) / 0x1p52 - 1);
    ck_assert(four == (float)((double)(known >> 40) / 0x1p23 - 1));
}
END_TEST

START_TEST(test_name_and_seed_matter) {
    float first[8], again[8], other_name[8], other_seed[8];

    random_fill(1, "x", CUBBY_DTYPE_FLOAT32, first, 8);
    random_fill(1, "x", CUBBY_DTYPE_FLOAT32, again, 8);
    random_fill(1, "y", CUBBY_DTYPE_FLOAT32, other_name, 8);
    random_fill(2, "x", CUBBY_DTYPE_FLOAT32, other_seed, 8);
    ck_assert_mem_eq(first, again, sizeof(first));
    ck_assert_mem_ne(first, other_name, sizeof(first));
    ck_assert_mem_ne(first, other_seed, sizeof(first));
}
END_TEST

START_TEST(test_floats_lie_between_minus_one_and_one) {
    static float values[COUNT];
    double sum = 0, least = 0, greatest = 0;

    random_fill(7, "x", CUBBY_DTYPE_FLOAT32, values, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        sum += values[i];
        least = values[i] < least ? values[i] : least;
        greatest = values[i] > greatest ? values[i] : greatest;
    }
    ck_assert(least >= -1 && least < -0.99);
    ck_assert(greatest < 1 && greatest > 0.99);
    ck_assert(sum / COUNT < 0.02 && sum / COUNT > -0.02);
}
END_TEST

/* The value of a float of few digits, from its definition. */
static double decode(unsigned bits, unsigned stored, unsigned exponent_bits) {
    unsigned exponent = bits >> stored & ((1u << exponent_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double value = 1 + (double)(bits & ((1u << stored) - 1)) / (1 << stored);

    if ((bits & ((1u << (stored + exponent_bits)) - 1)) == 0)
        return 0;
    for (int i = (int)exponent; i < bias; i++)
        value /= 2;
    ck_assert_int_le((int)exponent, bias);
    return bits >> (stored + exponent_bits) ? -value : value;
}

START_TEST(test_short_floats_are_those_of_the_long_ones) {
    static const struct {
        enum cubby_dtype dtype;
        unsigned stored, exponent_bits;
    } FORMS[] = {{CUBBY_DTYPE_FLOAT16, 10, 5},
                 {CUBBY_DTYPE_BFLOAT16, 7, 8},
                 {CUBBY_DTYPE_FLOAT8_E4M3, 3, 4},
                 {CUBBY_DTYPE_FLOAT8_E5M2, 2, 5}};
    static double exact[COUNT];
    static uint16_t two[COUNT];
    static uint8_t one[COUNT];

    random_fill(3, "x", CUBBY_DTYPE_FLOAT64, exact, COUNT);
    for (size_t f = 0; f < 4; f++) {
        bool is_short = cubby_dtype_size(FORMS[f].dtype) == 1;
        double step = 1.0 / (1 << FORMS[f].stored);

        random_fill(3, "x", FORMS[f].dtype, is_short ? (void *)one : two, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            double value =
                decode(is_short ? one[i] : two[i], FORMS[f].stored, FORMS[f].exponent_bits);

            ck_assert(value <= exact[i] && exact[i] < value + step);
        }
    }
}
END_TEST

START_TEST(test_integers_are_small) {
    static int8_t with_sign[COUNT];
    static uint16_t without[COUNT];
    unsigned seen = 0, seen_without = 0;

    random_fill(3, "x", CUBBY_DTYPE_INT8, with_sign, COUNT);
    random_fill(3, "x", CUBBY_DTYPE_UINT16, without, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert(with_sign[i] >= -8 && with_sign[i] <= 7 && without[i] <= 15);
        seen |= 1u << (with_sign[i] + 8);
        seen_without |= 1u << without[i];
    }
    ck_assert_uint_eq(seen, 0xffff);
    ck_assert_uint_eq(seen_without, 0xffff);
}
END_TEST

START_TEST(test_timings) {
    uint64_t one[] = {7}, four[] = {4, 1, 3, 100}, hundred[100], more[101];
    struct timing timing = timing_of(one, 1);

    ck_assert(timing.median == 7 && timing.p99 == 7 && timing.mean == 7);
    timing = timing_of(four, 4);
    ck_assert(timing.median == 3.5 && timing.p99 == 100 && timing.mean == 27);
    for (size_t i = 0; i < 101; i++)
        more[i] = i + 1;
    memcpy(hundred, more, sizeof(hundred));
    timing = timing_of(hundred, 100);
    ck_assert(timing.median == 50.5 && timing.p99 == 99 && timing.mean == 50.5);
    timing = timing_of(more, 101);
    ck_assert(timing.median == 51 && timing.p99 == 100 && timing.mean == 51);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("random");
    TCase *tests = tcase_create("numbers");

    tcase_add_test(tests, test_numbers_are_those_of_splitmix64);
    tcase_add_test(tests, test_floats_are_the_top_digits);
    tcase_add_test(tests, test_name_and_seed_matter);
    tcase_add_test(tests, test_floats_lie_between_minus_one_and_one);
    tcase_add_test(tests, test_short_floats_are_those_of_the_long_ones);
    tcase_add_test(tests, test_integers_are_small);
    tcase_add_test(tests, test_timings);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
