/* SPDX-License-Identifier: MIT */
/* tile_emulator.c - decodes and does the instructions that isa_amx.c is made of.
 *
 * Source: Intel's instruction set reference: LDTILECFG, TDPBF16PS, TDPBSUD and TDPBUSD, TILELOADD,
 * TILERELEASE, TILESTORED, TILEZERO. */
#include "tests/runtime/tile_emulator.h"

#if defined(__x86_64__)
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, ROWS = 16, LINE = 64 };

/* ---------------------------------------------------------------- state -------------------- */

typedef struct {
    int rows, row_bytes;
    uint8_t row[ROWS][LINE];
} tile;

static _Thread_local tile tiles[TILES];
static _Thread_local bool configured;
static atomic_int held;
static atomic_long instructions;

int tiles_held(void)
{
    return atomic_load(&held);
}

long tiles_instructions(void)
{
    return atomic_load(&instructions);
}

static void refuse(const char *why)
{
    fprintf(stderr, "tile instruction: %s\n", why);
    abort();
}

static void require(bool holds, const char *otherwise)
{
    if (!holds)
        refuse(otherwise);
}

static tile *configured_tile(int number)
{
    require(number < TILES, "a tile that there is not");
    require(configured, "no configuration is loaded");
    require(tiles[number].rows > 0, "the configuration leaves out this tile");
    return &tiles[number];
}

/* ---------------------------------------------------------------- instructions ------------- */

static void load_configuration(const uint8_t *from)
{
    require(from[0] == 1, "a palette other than the first");
    require(from[1] == 0, "a row to start again from");
    for (int i = 2; i < 16; i++)
        require(from[i] == 0, "reserved bytes are not zero");
    memset(tiles, 0, sizeof tiles);
    for (int i = 0; i < ROWS; i++) {
        int row_bytes = from[16 + 2 * i] | from[17 + 2 * i] << 8, rows = from[48 + i];
        require(row_bytes <= (i < TILES ? LINE : 0) && rows <= (i < TILES ? ROWS : 0),
                "a tile that is too large");
        require((rows == 0) == (row_bytes == 0), "a tile with rows or columns alone");
        if (i < TILES)
            tiles[i].rows = rows, tiles[i].row_bytes = row_bytes;
    }
    atomic_fetch_add(&held, !configured);
    configured = true;
}

static void release(void)
{
    atomic_fetch_sub(&held, configured);
    configured = false;
    memset(tiles, 0, sizeof tiles);
}

/* What is beyond a tile's rows and columns becomes zero. */
static void load(tile *t, const uint8_t *from, long stride)
{
    memset(t->row, 0, sizeof t->row);
    for (int r = 0; r < t->rows; r++)
        memcpy(t->row[r], from + r * stride, (size_t)t->row_bytes);
}

static void store(const tile *t, uint8_t *to, long stride)
{
    for (int r = 0; r < t->rows; r++)
        memcpy(to + r * stride, t->row[r], (size_t)t->row_bytes);
}

static void require_product(const tile *sum, const tile *a, const tile *b)
{
    require(sum != a && sum != b && a != b, "a tile twice in a product");
    require(a->rows == sum->rows && b->row_bytes == sum->row_bytes && a->row_bytes == 4 * b->rows,
            "tiles that do not fit each other");
}

/* A bfloat16 as float32; too small a number counts as zero. */
static float widened(const uint8_t *from)
{
    uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 24;
    float value;

    if (!(bits & 0x7f800000))
        bits &= 0x80000000;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Even and odd inputs have a sum each, which are added at the end. */
static void multiply_bf16(tile *sum, const tile *a, const tile *b)
{
    require_product(sum, a, b);
    for (int m = 0; m < sum->rows; m++)
        for (int n = 0; n < sum->row_bytes / 4; n++) {
            float even = 0, odd = 0, total;
            for (int k = 0; k < a->row_bytes / 4; k++) {
                even = __builtin_fmaf(widened(a->row[m] + 4 * k), widened(b->row[k] + 4 * n), even);
                odd = __builtin_fmaf(widened(a->row[m] + 4 * k + 2), widened(b->row[k] + 4 * n + 2),
                                     odd);
            }
            memcpy(&total, sum->row[m] + 4 * n, sizeof total);
            total += even + odd;
            memcpy(sum->row[m] + 4 * n, &total, sizeof total);
        }
}

static int byte_of(uint8_t byte, bool has_sign)
{
    return has_sign ? (int8_t)byte : byte;
}

static void multiply_bytes(tile *sum, const tile *a, bool a_signed, const tile *b, bool b_signed)
{
    require_product(sum, a, b);
    for (int m = 0; m < sum->rows; m++)
        for (int n = 0; n < sum->row_bytes / 4; n++) {
            int32_t total;
            memcpy(&total, sum->row[m] + 4 * n, sizeof total);
            for (int k = 0; k < a->row_bytes; k++)
                total += byte_of(a->row[m][k], a_signed) *
                         byte_of(b->row[k / 4][4 * n + k % 4], b_signed);
            memcpy(sum->row[m] + 4 * n, &total, sizeof total);
        }
}

/* ---------------------------------------------------------------- decoding ----------------- */

enum { NO_PREFIX, PREFIX_66, PREFIX_F3, PREFIX_F2 };

/* VEX with three bytes, of the second table (0F38), 128 bits, W 0: all tile instructions. */
typedef struct {
    int prefix, opcode, mode, reg, rm, vvvv;
    long address,
        index; /* where the second operand is in memory; a tile's rows lie that far apart */
    int length;
} instruction;

static long register_value(const ucontext_t *c, int number)
{
    static const int place[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

    return c->uc_mcontext.gregs[place[number]];
}

/* Base, index and displacement, or a place relative to the next instruction. */
static void decode_memory(instruction *in, const ucontext_t *c, const uint8_t *at, bool x, bool b)
{
    bool far = in->mode == 2, relative = in->mode == 0 && in->rm == 5;
    int base = in->rm;
    int32_t displacement = 0;

    if (in->rm == 4) { /* a byte of scale, index and base follows */
        int index = (at[in->length] >> 3 & 7) + 8 * x;
        base = at[in->length] & 7;
        if (index != 4)
            in->index = register_value(c, index) * (1 << (at[in->length] >> 6));
        far = far || (in->mode == 0 && base == 5);
        require(in->mode != 0 || base != 5, "an address without a base: not decoded");
        in->length++;
    }
    if (in->mode == 1)
        displacement = (int8_t)at[in->length];
    else if (far || relative)
        memcpy(&displacement, at + in->length, 4);
    in->length += in->mode == 1 ? 1 : far || relative ? 4 : 0;
    in->address =
        displacement + (relative ? (long)at + in->length : register_value(c, base + 8 * b));
}

static bool decode(instruction *in, const ucontext_t *c)
{
    const uint8_t *at = (const uint8_t *)c->uc_mcontext.gregs[REG_RIP];

    if (at[0] != 0xc4 || (at[1] & 0x1f) != 2 || at[2] & 0x84)
        return false;
    *in = (instruction){.prefix = at[2] & 3,
                        .opcode = at[3],
                        .mode = at[4] >> 6,
                        .reg = at[4] >> 3 & 7,
                        .rm = at[4] & 7,
                        .vvvv = ~(at[2] >> 3) & 15,
                        .length = 5};
    if (in->mode != 3)
        decode_memory(in, c, at, !(at[1] & 0x40), !(at[1] & 0x20));
    return true;
}

/* ---------------------------------------------------------------- doing -------------------- */

static bool do_configuration(const instruction *in)
{
    if (in->mode == 3 && in->prefix == PREFIX_F2)
        memset(configured_tile(in->reg)->row, 0, sizeof tiles->row);
    else if (in->prefix != NO_PREFIX)
        return false;
    else if (in->mode == 3)
        release();
    else
        load_configuration((const uint8_t *)in->address + in->index);
    return true;
}

static bool do_memory(const instruction *in)
{
    if (in->prefix == PREFIX_F2)
        load(configured_tile(in->reg), (const uint8_t *)in->address, in->index);
    else if (in->prefix == PREFIX_F3)
        store(configured_tile(in->reg), (uint8_t *)in->address, in->index);
    else
        return false;
    return true;
}

static bool do_bytes(const instruction *in)
{
    multiply_bytes(configured_tile(in->reg), configured_tile(in->rm),
                   in->prefix == PREFIX_F2 || in->prefix == PREFIX_F3, configured_tile(in->vvvv),
                   in->prefix == PREFIX_F2 || in->prefix == PREFIX_66);
    return true;
}

static bool run(const instruction *in)
{
    switch (in->opcode) {
    case 0x49:
        return do_configuration(in);
    case 0x4b:
        return do_memory(in);
    case 0x5e:
        return do_bytes(in);
    case 0x5c:
        if (in->prefix != PREFIX_F3)
            return false;
        multiply_bf16(configured_tile(in->reg), configured_tile(in->rm), configured_tile(in->vvvv));
        return true;
    default:
        return false;
    }
}

static void on_signal(int number, siginfo_t *about, void *context)
{
    ucontext_t *c = context;
    instruction in;

    (void)number, (void)about;
    if (!decode(&in, c) || !run(&in))
        refuse("not one that is known");
    c->uc_mcontext.gregs[REG_RIP] += in.length;
    atomic_fetch_add(&instructions, 1);
}

void tiles_emulate(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    if (sigaction(SIGILL, &action, NULL))
        refuse("no handler of its signal");
}
#endif
