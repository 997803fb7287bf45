/* official.h - weights under the official code's names to a deer model file.
 *
 *   official_import("golden_a", "golden_a.deer", &err);
 *
 * The folder holds config.json (the reference sets' dimensions) and weights.safetensors (official
 * names without "module."). Widths come from the tensors themselves wherever they can. */
#ifndef RUNTIME_OFFICIAL_H
#define RUNTIME_OFFICIAL_H

#include "runtime/deer.h"

/* Reads FOLDER/config.json and FOLDER/weights.safetensors and writes a model file without
 * tokenizer. Tensors the runtime never uses (ln_post, proj, lm_head, ...) are left out. */
deer_status official_import(const char *folder, const char *out, deer_error *err);

#endif
