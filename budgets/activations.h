/* activations.h - the memory a session holds besides the weights, from the configuration alone. */
#ifndef BUDGETS_ACTIVATIONS_H
#define BUDGETS_ACTIVATIONS_H

#include <stdint.h>

#include "runtime/deer.h"

/* Bytes of a session: scratch memory in 32-bit numbers, recurrent state, and what resizing images
 * of the model's own size takes (cameras of another size change that part, which is small). */
uint64_t activation_bytes(const deer_config *c);

#endif
