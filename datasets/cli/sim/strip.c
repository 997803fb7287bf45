/* SPDX-License-Identifier: MIT */
/* strip.c - boxes, and letters of five by seven dots. */
#include "datasets/cli/sim/strip.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LEGEND = 16, /* pixels above the boxes */
    BOX = 9,     /* an exit's height, a pixel of gap included */
    AXIS = 16,   /* below */
    LEFT = 22,
    GLYPH = 6, /* a letter's width, a dot of gap included */
    GLYPH_HEIGHT = 7
};

static const uint8_t background[3] = {24, 26, 30}, empty[3] = {52, 55, 62},
                     ink[3] = {214, 218, 224};

/* ---------------------------------------------------------------- letters ------------------ */

/* Rows from above, the lowest five bits of each, the left dot highest. */
static const struct {
    char letter;
    uint8_t row[GLYPH_HEIGHT];
} glyphs[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
    {'2', {14, 17, 1, 2, 4, 8, 31}},     {'3', {31, 2, 4, 2, 1, 17, 14}},
    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},
    {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 2, 12}},
    {'a', {0, 0, 14, 1, 15, 17, 15}},    {'d', {1, 1, 13, 19, 17, 17, 15}},
    {'e', {0, 0, 14, 17, 31, 16, 14}},   {'i', {4, 0, 12, 4, 4, 4, 14}},
    {'k', {16, 16, 18, 20, 24, 20, 18}}, {'l', {12, 4, 4, 4, 4, 4, 14}},
    {'n', {0, 0, 22, 25, 17, 17, 17}},   {'o', {0, 0, 14, 17, 17, 17, 14}},
    {'p', {0, 0, 30, 17, 30, 16, 16}},   {'s', {0, 0, 15, 16, 14, 1, 30}},
    {'t', {8, 8, 28, 8, 8, 9, 6}},       {'x', {0, 0, 17, 10, 4, 10, 17}},
};

static void fill(const strip *s, uint8_t *rgb, int x, int y, int width, int height,
                 const uint8_t *colour)
{
    for (int row = y; row < y + height; row++)
        for (int column = x; column < x + width && column < s->width; column++)
            memcpy(rgb + 3 * (row * s->width + column), colour, 3);
}

static void write_letter(const strip *s, uint8_t *rgb, int x, int y, char letter)
{
    for (size_t g = 0; g < sizeof glyphs / sizeof *glyphs; g++)
        for (int row = 0; glyphs[g].letter == letter && row < GLYPH_HEIGHT; row++)
            for (int dot = 0; dot < GLYPH - 1; dot++)
                if (glyphs[g].row[row] >> (GLYPH - 2 - dot) & 1)
                    fill(s, rgb, x + dot, y + row, 1, 1, ink);
}

/* Returns where the text ends. */
static int write_text(const strip *s, uint8_t *rgb, int x, int y, const char *text)
{
    for (; *text; text++, x += GLYPH)
        write_letter(s, rgb, x, y, *text);
    return x;
}

static int write_number(const strip *s, uint8_t *rgb, int x, int y, int number)
{
    char text[12];

    snprintf(text, sizeof text, "%d", number);
    return write_text(s, rgb, x, y, text);
}

/* ---------------------------------------------------------------- strip -------------------- */

/* From green (the first exit) over yellow to red (the deepest). */
static void colour_of(int exit, int exits, uint8_t *rgb)
{
    double depth = exits > 1 ? (double)exit / (exits - 1) : 1;

    rgb[0] = (uint8_t)(255 * fmin(1, 0.25 + 1.5 * depth));
    rgb[1] = (uint8_t)(255 * fmin(1, 1.6 * (1 - depth) + 0.15));
    rgb[2] = 60;
}

int strip_height(const strip *s)
{
    return LEGEND + s->exits * BOX + AXIS;
}

static int column_of(const strip *s, int step)
{
    return LEFT + step * (s->width - LEFT - 8) / s->most_steps;
}

static int box_of(const strip *s, int exit)
{
    return LEGEND + (s->exits - 1 - exit) * BOX;
}

static void draw_legend(const strip *s, uint8_t *rgb)
{
    int x = write_text(s, rgb, LEFT, 4, "exits looked at  last");

    for (int k = 0; k < s->exits; k++) {
        uint8_t colour[3];

        colour_of(k, s->exits, colour);
        x += 8;
        fill(s, rgb, x, 3, 8, 8, colour);
        x = write_number(s, rgb, x + 11, 4, k);
    }
}

static void draw_axes(const strip *s, uint8_t *rgb)
{
    int below = LEGEND + s->exits * BOX;

    for (int k = 0; k < s->exits; k++)
        write_number(s, rgb, LEFT - (k < 10 ? 8 : 14), box_of(s, k) + 1, k);
    for (int step = 0; step < s->most_steps; step += 10) {
        fill(s, rgb, column_of(s, step), below, 1, 3, ink);
        write_number(s, rgb, column_of(s, step) + 3, below + 5, step);
    }
    write_text(s, rgb, column_of(s, s->most_steps) - 5 * GLYPH, below + 5, "steps");
}

void strip_draw(const strip *s, const int *taken, int steps, uint8_t *rgb)
{
    fill(s, rgb, 0, 0, s->width, strip_height(s), background);
    draw_legend(s, rgb);
    draw_axes(s, rgb);
    for (int step = 0; step < s->most_steps; step++)
        for (int k = 0; k < s->exits; k++) {
            int x = column_of(s, step), width = column_of(s, step + 1) - x - 1;
            uint8_t colour[3];

            colour_of(step < steps ? taken[step] : 0, s->exits, colour);
            fill(s, rgb, x, box_of(s, k), width, BOX - 1,
                 step < steps && k <= taken[step] ? colour : empty);
        }
}
