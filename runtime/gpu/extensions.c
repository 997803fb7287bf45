/* SPDX-License-Identifier: MIT */
/* extensions.c - whether a device offers an extension. */
#include <stdlib.h>
#include <string.h>

#include "runtime/gpu/device.h"

bool gpu_has_extension(const gpu_device *gpu, VkPhysicalDevice physical, const char *name)
{
    VkExtensionProperties *list = NULL;
    uint32_t count = 0;
    bool found = false;

    gpu->vk.EnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
    list = calloc(count + 1, sizeof *list);
    if (list)
        gpu->vk.EnumerateDeviceExtensionProperties(physical, NULL, &count, list);
    for (uint32_t i = 0; list && i < count; i++)
        found = found || !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}
