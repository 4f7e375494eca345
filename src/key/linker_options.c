/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of nvJitLink and of libNVVM. Every line was measured: docs/keys-linkers.md. Neither
 * library knows a second spelling but for those here; what is not here goes through as it is.
 */
#include "key/options.h"

#define WHY_TARGET "ask for that target instead"

/* OPTION_DRIVER_TOO: culink.c says it in the driver's words. */
static const struct option_rule LINKER_RULES[] = {
    {{"-arch"}, VALUE_EQUALS, OPTION_DRIVER_TOO, NULL},
    {{"-maxrregcount"}, VALUE_EQUALS, OPTION_DRIVER_TOO, NULL},
    {{"-O0"}, VALUE_NONE, OPTION_DRIVER_TOO, NULL},
    {{"-O3"}, VALUE_NONE, OPTION_DRIVER_TOO, NULL},
    {{"-g"}, VALUE_NONE, OPTION_DRIVER_TOO, NULL},
    {{"-lineinfo"}, VALUE_NONE, OPTION_DRIVER_TOO, NULL},
    {{"-verbose"}, VALUE_NONE, OPTION_DRIVER_TOO, NULL},
    {{"-ftz"}, VALUE_EQUALS, OPTION_DRIVER_NOT, NULL},
    {{"-prec-div"}, VALUE_EQUALS, OPTION_DRIVER_NOT, NULL},
    {{"-prec-sqrt"}, VALUE_EQUALS, OPTION_DRIVER_NOT, NULL},
    {{"-fma"}, VALUE_EQUALS, OPTION_DRIVER_NOT, NULL},
    {{"-no-cache", "--no-cache"}, VALUE_IGNORED, OPTION_NEUTRAL, NULL},
    {{"-time"}, VALUE_IGNORED, OPTION_COUNTS, NULL},
    {{"-lto", "-dlto"}, VALUE_NONE, OPTION_LTO, NULL},
    {{"-Xptxas"}, VALUE_EQUALS, OPTION_COUNTS, NULL},
    {{"-split-compile"}, VALUE_EQUALS, OPTION_COUNTS, NULL},
    {{"-split-compile-extended"}, VALUE_EQUALS, OPTION_COUNTS, NULL},
    {{"-ptx"}, VALUE_NONE, OPTION_REFUSED, WHY_TARGET},
};

const struct option_dialect DIALECT_LINKER = {
    LINKER_RULES, sizeof(LINKER_RULES) / sizeof(*LINKER_RULES), BLANKS_COUNT, false};

/* Each at most once, so that their order says nothing: the library refuses repetitions. */
static const struct option_rule NVVM_RULES[] = {
    {{"-arch"}, VALUE_EQUALS, OPTION_COUNTS, NULL},
    {{"-gen-lto"}, VALUE_NONE, OPTION_REFUSED, WHY_TARGET},
};

const struct option_dialect DIALECT_NVVM = {NVVM_RULES, sizeof(NVVM_RULES) / sizeof(*NVVM_RULES),
                                            BLANKS_BEHIND, true};
