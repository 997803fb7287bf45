/* SPDX-License-Identifier: MIT */
/* pickle.h - Python's pickles, restricted to what a checkpoint of tensors holds.
 *
 *   pickle p;
 *   if (pickle_read(path, bytes, size, &p, &err)) ...
 *   const pickle_value *state = pickle_get(p.root, "model_state_dict");
 *   pickle_free(&p);
 *
 * Nothing is ever executed: names that a pickle may refer to and that build something are a fixed
 * list (below). Every other name, and whatever a pickle makes with it, is an opaque value: it is
 * never called, holds nothing, and only says what it would have been; so a checkpoint with an
 * optimizer's or argparse's objects beside its weights is read. Values are bytes of the input or
 * small records; time and memory are linear in the input's size.
 *
 * Names: torch._utils._rebuild_tensor_v2, _rebuild_parameter, torch.<type>Storage, torch.Size,
 * collections.OrderedDict, defaultdict and Counter, classes of TorchScript programs (__torch__.*:
 * an object of one is only its attributes), torch.jit._pickle's type tags (dropped), numpy's dtype,
 * ndarray, multiarray.scalar and _reconstruct, and _codecs.encode (how protocol 2 writes bytes).
 */
#ifndef RUNTIME_PICKLE_H
#define RUNTIME_PICKLE_H

#include "runtime/base/number.h"
#include "runtime/deer.h"

#define PICKLE_LARGEST (64u << 20) /* bytes of input; the tensors' data lies elsewhere */
#define PICKLE_RANK 8

typedef enum {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_LIST,
    PICKLE_TUPLE,
    PICKLE_DICT,
    PICKLE_OBJECT,  /* of a TorchScript class: attributes, like a dict */
    PICKLE_NAME,    /* one of the names above, not called */
    PICKLE_STORAGE, /* where a tensor's data lies */
    PICKLE_TENSOR,
    PICKLE_DTYPE,  /* numpy's */
    PICKLE_ARRAY,  /* numpy's: a tensor with its data in the pickle (one of objects is a list) */
    PICKLE_OPAQUE, /* of another name: neither built nor called */
} pickle_kind;

typedef struct pickle_value pickle_value;

struct pickle_value {
    pickle_kind kind;
    union {
        int64_t integer; /* bool and int; of a name, which one */
        double number;
        struct {
            const char *at; /* not zero-terminated */
            size_t size;
        } text;
        struct {
            const char *module, *name; /* not zero-terminated; NULL module: name says all */
            size_t module_size, name_size;
        } opaque;
        struct {
            pickle_value **item; /* of a dict, an object: key, value, .. */
            size_t count, room;
        } many;
        struct {
            number_type type;
            const pickle_value *key; /* text: which entry of the archive */
            int64_t count;           /* elements */
        } storage;
        struct {
            const pickle_value *from; /* a storage, or bytes of an array */
            number_type type;
            int rank;
            int64_t offset; /* elements */
            int64_t shape[PICKLE_RANK], stride[PICKLE_RANK];
        } tensor;
    } as;
};

typedef struct {
    const pickle_value *root;
    void *arena;
} pickle;

/* Reads one pickle; data stays the caller's and must outlive p. Fails, naming the reason, for
 * anything but the above. */
deer_status pickle_read(const char *path, const uint8_t *data, size_t size, pickle *p,
                        deer_error *err);
void pickle_free(pickle *p);

/* The value of a dict's text key; NULL when v is no dict or has no such key. */
const pickle_value *pickle_get(const pickle_value *v, const char *key);

/* The integer of a dict's text key; `otherwise` when there is none. */
int64_t pickle_integer(const pickle_value *v, const char *key, int64_t otherwise);

/* What an opaque value would have been, "argparse.Namespace", printable. Returns text. */
const char *pickle_opaque_name(const pickle_value *v, char *text, size_t room);

/* Elements of a tensor or array. */
int64_t pickle_elements(const pickle_value *tensor);

#endif
