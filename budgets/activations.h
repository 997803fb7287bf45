/* activations.h - the memory a session holds besides the weights, from the configuration alone. */
#ifndef BUDGETS_ACTIVATIONS_H
#define BUDGETS_ACTIVATIONS_H

#include <stdint.h>

#include "runtime/deer.h"

/* 32-bit numbers in a session's scratch memory and recurrent state. The tables for resizing camera
 * images come on top: they depend on the cameras, and are small. */
uint64_t activation_floats(const deer_config *c);

#endif
