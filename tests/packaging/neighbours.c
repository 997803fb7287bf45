/* SPDX-License-Identifier: MIT */
/* neighbours.c - libdeer beside libzip, libpng and zlib: each finds its own functions. */
#include <deer/deer.h>

#include <png.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

/* A function of this program's own, named like one inside libdeer: neither may replace the other.
 */
int file_read(const char *path);
int file_read(const char *path)
{
    return path ? 17 : 0;
}

static int zip_works(void)
{
    zip_error_t error;
    zip_source_t *source;
    zip_t *archive;
    int code = 0;

    if (zip_open("/nowhere/at/all.zip", 0, &code) || code != ZIP_ER_NOENT)
        return 0;
    source =
        zip_source_buffer_create("PK\005\006\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, 0, &error);
    archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!archive)
        return 0;
    zip_discard(archive);
    return 1;
}

static int png_works(void)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    int made = png != NULL;

    png_destroy_write_struct(&png, NULL);
    return made;
}

static int zlib_works(void)
{
    Bytef packed[100], text[100];
    uLongf length = sizeof packed, size = sizeof text;

    return compress(packed, &length, (const Bytef *)"deer deer deer", 15) == Z_OK &&
           uncompress(text, &size, packed, length) == Z_OK &&
           !strcmp((char *)text, "deer deer deer");
}

int main(int argc, char **argv)
{
    deer_error err;
    deer_model *model = NULL;
    int status = 1;

    if (argc != 2 || !zip_works() || !png_works() || !zlib_works() || file_read(argv[1]) != 17)
        fprintf(stderr, "another library does not work beside libdeer\n");
    else if (deer_model_open(argv[1], DEER_ALL_EXITS, &model, &err))
        fprintf(stderr, "%s\n", err.message);
    else
        status = 0;
    if (!status)
        printf("%d exits\n", deer_model_max_exit(model) + 1);
    deer_model_close(model);
    return status;
}
