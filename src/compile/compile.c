/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/compile.h"

#include "compile/culink.h"
#include "compile/nvjitlink.h"
#include "compile/nvrtc.h"
#include "compile/nvvm.h"

int compile_program(void *handle, const struct toolchain *toolchain,
                    const struct cubby_program *program, const struct cubby_key *key,
                    const char *trace, struct compiled *ret_compiled, struct cubby_error *error) {
    switch (toolchain->tool) {
    case CUBBY_TOOL_NVJITLINK:
        return nvjitlink_compile(handle, toolchain, program, ret_compiled, error);
    case CUBBY_TOOL_NVVM:
        return nvvm_compile(handle, toolchain, program, ret_compiled, error);
    case CUBBY_TOOL_DRIVER:
        return culink_compile(handle, toolchain, program, ret_compiled, error);
    default:
        return nvrtc_compile(handle, toolchain, program, key, trace, ret_compiled, error);
    }
}
