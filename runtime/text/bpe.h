/* SPDX-License-Identifier: MIT */
/* bpe.h - byte-level byte-pair encoding, as in GPT-2 and GPT-NeoX, from a Hugging Face
 * tokenizer.json.
 *
 *   bpe *t;
 *   if (bpe_new(where, json, vocab, &t, &err)) ...
 *   n = bpe_encode(t, "lift the red block", length, ids, room, &err);
 *   bpe_free(t);
 *
 * In the order in which the Hugging Face library does it: added tokens that are not normalized are
 * cut out of the text; the rest is normalized (NFC or nothing) and the normalized added tokens
 * (runs of spaces) are cut out; what remains is split by GPT-2's pattern, each piece turned into
 * one symbol a byte, and the pair of lowest rank merged until none is left.
 */
#ifndef RUNTIME_BPE_H
#define RUNTIME_BPE_H

#include <jansson.h>

#include "runtime/deer.h"

typedef struct bpe bpe;

/* json: the whole tokenizer.json, model.type BPE; borrowed only during the call. Every id must lie
 * below vocab. What is not supported (prefix spaces, dropout, byte fallback, other pre-tokenizers)
 * is refused, by name. */
deer_status bpe_new(const char *where, const json_t *json, int vocab, bpe **out, deer_error *err);
void bpe_free(bpe *t);

/* Ids of UTF-8 text without special meaning of any kind but the file's added tokens; at most room,
 * the rest is cut off. Returns how many; -1, with a message, for text that is not UTF-8 or longer
 * than 4 KiB. */
int bpe_encode(const bpe *t, const char *text, size_t length, int32_t *ids, int room,
               deer_error *err);

#endif
