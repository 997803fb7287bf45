/* SPDX-License-Identifier: MIT */
/* tokenizer.h - instructions to token ids, from a Hugging Face tokenizer.json.
 *
 * Two kinds. Word-level: text is lower-cased if the normalizer says so, split at white space, each
 * word looked up. Byte-level BPE (GPT-NeoX): bpe.h. Source of the prompt: official
 * preprocess_text_calvin (eos is <|endoftext|>). */
#ifndef RUNTIME_TOKENIZER_H
#define RUNTIME_TOKENIZER_H

#include "runtime/deer.h"

typedef struct tokenizer tokenizer;

/* Reads tokenizer.json from text; every id must lie below vocab. `where` starts the messages. */
deer_status tokenizer_new(const char *where, const char *text, int vocab, tokenizer **out,
                          deer_error *err);
void tokenizer_free(tokenizer *t);

/* The text of a tokenizer.json with the tokens the official code adds where the file lacks them, at
 * the ids it gives them (behind the last): <|endofchunk|>, <image>, <PAD>. The caller frees. */
deer_status tokenizer_complete(const char *where, const char *text, char **completed,
                               deer_error *err);

/* The official prompt, between what the file's post_processor puts around a text: "<image>" +
 * instruction + "<|endofchunk|>" + "<|endoftext|>" as ids, cut to `room`. Returns how many. Words
 * that are not known become the unknown token; without one they fail, naming the word. Returns -1
 * then. */
int tokenizer_prompt(const tokenizer *t, const char *instruction, int32_t *ids, int room,
                     deer_error *err);

/* How many words of an instruction are not known; none where tokens are made of bytes. */
int tokenizer_unknown(const tokenizer *t, const char *instruction);

#endif
