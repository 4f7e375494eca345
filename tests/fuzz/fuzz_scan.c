/* SPDX-License-Identifier: Apache-2.0 */
/* The look through a source: whatever it refers to lies within the text, and whatever its macros
 * make of an include has an end. */
#include <stdint.h>
#include <stdlib.h>

#include "deps/macro_readings.h"
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

struct reader {
    const char *original;
    size_t size;
    const struct scan_text *text;
    const struct macros *macros;
};

static void read_operand(const struct scan_reference *reference, void *context) {
    const struct reader *reader = context;
    struct macro_text operand = {reference->operand,
                                 reference->operand + reference->operand_length};
    struct names names = NAMES_INIT, words = NAMES_INIT;
    char why[MACRO_READINGS_WHY_SIZE];

    if (operand.start < reader->text->start || operand.end > reader->text->end ||
        scan_line_number(reader->text, reader->original, reader->size, operand.start) >
            reader->size + 1)
        abort();
    macro_readings(reader->macros, &operand, &names, &words, why);
    for (size_t i = 0; i < names.count; i++) {
        if (names.items[i][0] != '<' && names.items[i][0] != '"')
            abort();
    }
    names_free(&names);
    names_free(&words);
}

static void define(const char *name, size_t length, void *context) {
    const struct scan_text *text = context;

    if (name < text->start || name + length > text->end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct names macros = NAMES_INIT;
    struct macros definitions = MACROS_INIT;
    struct pieces pieces = {0};
    struct reader reader;
    struct scan_words words;
    struct scan_text text;
    size_t offset;

    if (scan_open((const char *)data, size, &text) < 0)
        return 0;
    scan_includes(&text, visit, &text);
    scan_probe_macros(&text, &macros);
    scan_probes(&text, &macros, visit, &text);
    scan_definitions(&text, define, &text);
    macros_add_text(&definitions, &text);
    macros_sort(&definitions);
    reader = (struct reader){(const char *)data, size, &text, &definitions};
    scan_includes(&text, read_operand, &reader);
    macros_free(&definitions);
    scan_words(&text, &words);
    pieces_add(&pieces, text.start, (size_t)(text.end - text.start));
    pieces_word(&pieces);
    utf8_is_valid((const char *)data, size, &offset);
    names_free(&macros);
    scan_close(&text);
    return 0;
}
