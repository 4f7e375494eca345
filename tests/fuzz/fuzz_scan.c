/* SPDX-License-Identifier: Apache-2.0 */
/* The look through a source: whatever it refers to lies within the text. */
#include <stdint.h>
#include <stdlib.h>

#include "key/paste.h"
#include "key/scan.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct scan_reference *reference, void *context) {
    const struct scan_text *text = context;

    if (reference->spelling &&
        (reference->spelling < text->start || reference->spelling + reference->length > text->end))
        abort();
    if (reference->what < text->start || reference->what + reference->what_length > text->end)
        abort();
}

static void define(const char *name, size_t length, void *context) {
    const struct scan_text *text = context;

    if (name < text->start || name + length > text->end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct names macros = NAMES_INIT;
    struct pieces pieces = {0};
    struct scan_words words;
    struct scan_text text;
    size_t offset;

    if (scan_open((const char *)data, size, &text) < 0)
        return 0;
    scan_includes(&text, visit, &text);
    scan_probe_macros(&text, &macros);
    scan_probes(&text, &macros, visit, &text);
    scan_definitions(&text, define, &text);
    scan_words(&text, &words);
    pieces_add(&pieces, text.start, (size_t)(text.end - text.start));
    pieces_word(&pieces);
    utf8_is_valid((const char *)data, size, &offset);
    names_free(&macros);
    scan_close(&text);
    return 0;
}
