/* SPDX-License-Identifier: MIT */
/* render.c - the cameras: MuJoCo's renderer in an off-screen OpenGL context made by EGL. */
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/tabletop/world.h"

enum { MAX_SIDE = 256, MAX_GEOMS = 200 };

struct tabletop_renderer {
    EGLDisplay display;
    EGLContext context;
    mjvScene scene;
    mjrContext gl;
    bool ready; /* scene and gl exist */
    uint8_t flipped[MAX_SIDE * MAX_SIDE * 3];
};

/* A context without a window system; Mesa's software rasteriser where there is no GPU. */
static deer_status make_context(tabletop_renderer *eye, deer_error *err)
{
    static const EGLint wanted[] = {EGL_SURFACE_TYPE,
                                    EGL_PBUFFER_BIT,
                                    EGL_RENDERABLE_TYPE,
                                    EGL_OPENGL_BIT,
                                    EGL_RED_SIZE,
                                    8,
                                    EGL_GREEN_SIZE,
                                    8,
                                    EGL_BLUE_SIZE,
                                    8,
                                    EGL_ALPHA_SIZE,
                                    8,
                                    EGL_DEPTH_SIZE,
                                    24,
                                    EGL_NONE};
    EGLConfig config;
    EGLint found = 0;

    /* One rendering thread inside the caller: reproducible, and workers are processes. */
    setenv("LP_NUM_THREADS", "0", 0);
    eye->display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    if (eye->display == EGL_NO_DISPLAY || !eglInitialize(eye->display, NULL, NULL))
        return deer_fail(err,
                         "no off-screen OpenGL (EGL surfaceless, error 0x%x); install "
                         "libegl1 and libgl1-mesa-dri",
                         (unsigned)eglGetError());
    eglBindAPI(EGL_OPENGL_API);
    if (!eglChooseConfig(eye->display, wanted, &config, 1, &found) || found < 1)
        return deer_fail(err, "EGL offers no OpenGL configuration with depth; install "
                              "libgl1-mesa-dri");
    eye->context = eglCreateContext(eye->display, config, EGL_NO_CONTEXT, NULL);
    if (!eye->context ||
        !eglMakeCurrent(eye->display, EGL_NO_SURFACE, EGL_NO_SURFACE, eye->context))
        return deer_fail(err, "cannot create an OpenGL context (EGL error 0x%x)",
                         (unsigned)eglGetError());
    return DEER_OK;
}

deer_status tabletop_renderer_new(const tabletop *world, tabletop_renderer **out, deer_error *err)
{
    tabletop_renderer *eye = calloc(1, sizeof *eye);

    *out = NULL;
    if (!eye)
        return deer_fail(err, "out of memory for a renderer");
    if (make_context(eye, err)) {
        tabletop_renderer_free(eye);
        return DEER_FAILED;
    }
    mjv_defaultScene(&eye->scene);
    mjr_defaultContext(&eye->gl);
    mjv_makeScene(world->model, &eye->scene, MAX_GEOMS);
    mjr_makeContext(world->model, &eye->gl, mjFONTSCALE_50);
    eye->ready = true;
    mjr_setBuffer(mjFB_OFFSCREEN, &eye->gl);
    if (eye->gl.currentBuffer != mjFB_OFFSCREEN) {
        tabletop_renderer_free(eye);
        return deer_fail(err, "this OpenGL has no off-screen frame buffers");
    }
    eye->scene.flags[mjRND_SHADOW] = 0;
    eye->scene.flags[mjRND_REFLECTION] = 0;
    *out = eye;
    return DEER_OK;
}

void tabletop_renderer_free(tabletop_renderer *eye)
{
    if (!eye)
        return;
    if (eye->ready) {
        mjr_freeContext(&eye->gl);
        mjv_freeScene(&eye->scene);
    }
    if (eye->context) {
        eglMakeCurrent(eye->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
        eglDestroyContext(eye->display, eye->context);
    }
    free(eye); /* the display is the process's: other renderers draw through it */
}

/* Draws into the off-screen buffer. */
static void draw(tabletop_renderer *eye, const tabletop *world, tabletop_camera camera,
                 mjrRect area)
{
    static const char *const names[] = {
        [TABLETOP_STATIC] = "static", [TABLETOP_GRIPPER] = "gripper"};
    mjvOption option;
    mjvCamera view;

    mjv_defaultOption(&option);
    mjv_defaultCamera(&view);
    view.type = mjCAMERA_FIXED;
    view.fixedcamid = mj_name2id(world->model, mjOBJ_CAMERA, names[camera]);
    mjv_updateScene(world->model, world->data, &option, NULL, &view, mjCAT_ALL, &eye->scene);
    mjr_render(area, &eye->scene, &eye->gl);
}

/* Reads it back, first row on top. */
static void read_back(tabletop_renderer *eye, mjrRect area, uint8_t *rgb)
{
    size_t row = (size_t)area.width * 3;

    mjr_readPixels(eye->flipped, NULL, area, &eye->gl);
    for (int y = 0; y < area.height; y++)
        memcpy(rgb + (size_t)y * row, eye->flipped + (size_t)(area.height - 1 - y) * row, row);
}

void tabletop_render(tabletop_renderer *eye, const tabletop *world, tabletop_camera camera,
                     int side, uint8_t *rgb)
{
    mjrRect area = {0, 0, side, side};

    draw(eye, world, camera, area);
    read_back(eye, area, rgb);
}

void tabletop_render_captioned(tabletop_renderer *eye, const tabletop *world,
                               tabletop_camera camera, int side, const char *top,
                               const char *bottom, uint8_t *rgb)
{
    mjrRect area = {0, 0, side, side};

    draw(eye, world, camera, area);
    mjr_overlay(mjFONT_NORMAL, mjGRID_TOPLEFT, area, top, NULL, &eye->gl);
    mjr_overlay(mjFONT_NORMAL, mjGRID_BOTTOMLEFT, area, bottom, NULL, &eye->gl);
    read_back(eye, area, rgb);
}
