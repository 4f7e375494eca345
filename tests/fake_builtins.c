/* SPDX-License-Identifier: Apache-2.0 */
/* A library in the place of libnvrtc-builtins: only its identity matters. */
int fake_builtins_edition(void);

int fake_builtins_edition(void) {
    return FAKE_EDITION;
}
