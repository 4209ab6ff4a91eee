// A Vulkan layer that makes a function of the driver fail, to see what a program does about it.
//
//   FAULT=vkQueueSubmit:5:-4    the fifth call of vkQueueSubmit returns -4 (VK_ERROR_DEVICE_LOST), and so does each later one
//   FAULT=vkQueueSubmit:5:-4:1  the same, until the program opens another device
//
//   FAULT=vkCmdDispatch:5:0     the fifth dispatch is lost, and so is each later one: the device computes wrongly
//   FAULT=vkQueueSubmit:5:0     the fifth submission and each later one are never finished: the device hangs
//
// A call that fails does not reach the driver. Built and used by faults.py.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

static PFN_vkGetInstanceProcAddr next_instance;
static PFN_vkGetDeviceProcAddr next_device;
static char name[64];
static long when = -1, result, ends;
static long calls;

// Whether this call of a function is one that fails.
static int fails(const char *function) {
    if (strcmp(function, name) != 0) return 0;
    return __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) >= when;
}

#define FAULTY(function, parameters, arguments) \
    static VKAPI_ATTR VkResult VKAPI_CALL faulty_##function parameters { \
        if (fails(#function)) return (VkResult)result; \
        static PFN_##function next; \
        if (!next) next = (PFN_##function)next_device(device_of, #function); \
        return next arguments; \
    }

static VkDevice device_of;

FAULTY(vkQueueSubmit, (VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence), (queue, count, submits, fence))
FAULTY(vkQueueWaitIdle, (VkQueue queue), (queue))
FAULTY(vkDeviceWaitIdle, (VkDevice device), (device))
FAULTY(vkWaitSemaphores, (VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout), (device, info, timeout))
FAULTY(vkWaitForFences, (VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout),
       (device, count, fences, all, timeout))
FAULTY(vkGetFenceStatus, (VkDevice device, VkFence fence), (device, fence))
FAULTY(vkGetSemaphoreCounterValue, (VkDevice device, VkSemaphore semaphore, uint64_t *value), (device, semaphore, value))
FAULTY(vkAllocateMemory, (VkDevice device, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *with, VkDeviceMemory *out),
       (device, info, with, out))
FAULTY(vkMapMemory, (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size, VkMemoryMapFlags flags, void **out),
       (device, memory, offset, size, flags, out))
FAULTY(vkCreateBuffer, (VkDevice device, const VkBufferCreateInfo *info, const VkAllocationCallbacks *with, VkBuffer *out),
       (device, info, with, out))
FAULTY(vkCreateImage, (VkDevice device, const VkImageCreateInfo *info, const VkAllocationCallbacks *with, VkImage *out),
       (device, info, with, out))
FAULTY(vkCreateImageView, (VkDevice device, const VkImageViewCreateInfo *info, const VkAllocationCallbacks *with, VkImageView *out),
       (device, info, with, out))
FAULTY(vkCreateShaderModule,
       (VkDevice device, const VkShaderModuleCreateInfo *info, const VkAllocationCallbacks *with, VkShaderModule *out),
       (device, info, with, out))
FAULTY(vkCreatePipelineLayout,
       (VkDevice device, const VkPipelineLayoutCreateInfo *info, const VkAllocationCallbacks *with, VkPipelineLayout *out),
       (device, info, with, out))
FAULTY(vkCreateDescriptorSetLayout,
       (VkDevice device, const VkDescriptorSetLayoutCreateInfo *info, const VkAllocationCallbacks *with, VkDescriptorSetLayout *out),
       (device, info, with, out))
FAULTY(vkCreateComputePipelines,
       (VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo *infos,
        const VkAllocationCallbacks *with, VkPipeline *out),
       (device, cache, count, infos, with, out))
FAULTY(vkCreateDescriptorPool,
       (VkDevice device, const VkDescriptorPoolCreateInfo *info, const VkAllocationCallbacks *with, VkDescriptorPool *out),
       (device, info, with, out))
FAULTY(vkAllocateDescriptorSets, (VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out), (device, info, out))
FAULTY(vkCreateCommandPool,
       (VkDevice device, const VkCommandPoolCreateInfo *info, const VkAllocationCallbacks *with, VkCommandPool *out),
       (device, info, with, out))
FAULTY(vkAllocateCommandBuffers, (VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out), (device, info, out))
FAULTY(vkBeginCommandBuffer, (VkCommandBuffer buffer, const VkCommandBufferBeginInfo *info), (buffer, info))
FAULTY(vkEndCommandBuffer, (VkCommandBuffer buffer), (buffer))
FAULTY(vkCreateQueryPool, (VkDevice device, const VkQueryPoolCreateInfo *info, const VkAllocationCallbacks *with, VkQueryPool *out),
       (device, info, with, out))
FAULTY(vkCreateFence, (VkDevice device, const VkFenceCreateInfo *info, const VkAllocationCallbacks *with, VkFence *out),
       (device, info, with, out))
FAULTY(vkCreateSemaphore, (VkDevice device, const VkSemaphoreCreateInfo *info, const VkAllocationCallbacks *with, VkSemaphore *out),
       (device, info, with, out))

static VKAPI_ATTR void VKAPI_CALL faulty_vkCmdDispatch(VkCommandBuffer buffer, uint32_t x, uint32_t y, uint32_t z) {
    if (fails("vkCmdDispatch")) return;
    static PFN_vkCmdDispatch next;
    if (!next) next = (PFN_vkCmdDispatch)next_device(device_of, "vkCmdDispatch");
    next(buffer, x, y, z);
}

#define ENTRY(function) {#function, (PFN_vkVoidFunction)faulty_##function}

static const struct {
    const char *name;
    PFN_vkVoidFunction function;
} FUNCTIONS[] = {
    ENTRY(vkQueueSubmit), ENTRY(vkQueueWaitIdle), ENTRY(vkDeviceWaitIdle), ENTRY(vkWaitSemaphores), ENTRY(vkWaitForFences),
    ENTRY(vkGetFenceStatus), ENTRY(vkGetSemaphoreCounterValue), ENTRY(vkAllocateMemory), ENTRY(vkMapMemory), ENTRY(vkCreateBuffer),
    ENTRY(vkCreateImage), ENTRY(vkCreateImageView), ENTRY(vkCreateShaderModule), ENTRY(vkCreatePipelineLayout),
    ENTRY(vkCreateDescriptorSetLayout), ENTRY(vkCreateComputePipelines), ENTRY(vkCreateDescriptorPool), ENTRY(vkAllocateDescriptorSets),
    ENTRY(vkCreateCommandPool), ENTRY(vkAllocateCommandBuffers), ENTRY(vkBeginCommandBuffer), ENTRY(vkEndCommandBuffer),
    ENTRY(vkCreateQueryPool), ENTRY(vkCreateFence), ENTRY(vkCreateSemaphore), {"vkCmdDispatch", (PFN_vkVoidFunction)faulty_vkCmdDispatch},
};

static PFN_vkVoidFunction faulty(const char *function) {
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        // The names of extensions before they became part of Vulkan end in KHR.
        size_t length = strlen(FUNCTIONS[i].name);
        if (!strncmp(FUNCTIONS[i].name, function, length) && (!function[length] || !strcmp(function + length, "KHR"))) {
            return FUNCTIONS[i].function;
        }
    }
    return NULL;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *with, VkInstance *out) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO)) {
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    }
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const char *fault = getenv("FAULT");
    if (fault) sscanf(fault, "%63[^:]:%ld:%ld:%ld", name, &when, &result, &ends);
    return ((PFN_vkCreateInstance)next_instance(NULL, "vkCreateInstance"))(info, with, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(
    VkPhysicalDevice adapter, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *with, VkDevice *out) {
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO)) {
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    }
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkResult made = ((PFN_vkCreateDevice)instance(NULL, "vkCreateDevice"))(adapter, info, with, out);
    // One device at a time: the functions of the first serve all, since they are the same driver's.
    if (made != VK_SUCCESS) return made;
    if (ends && calls >= when) name[0] = 0;
    device_of = *out;
    return made;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice device, const char *function) {
    if (!strcmp(function, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
    PFN_vkVoidFunction own = faulty(function);
    PFN_vkVoidFunction next = next_device(device, function);
    return own && next ? own : next;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *function) {
    if (!strcmp(function, "vkGetInstanceProcAddr")) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
    if (!strcmp(function, "vkGetDeviceProcAddr")) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
    if (!strcmp(function, "vkCreateInstance")) return (PFN_vkVoidFunction)create_instance;
    if (!strcmp(function, "vkCreateDevice")) return (PFN_vkVoidFunction)create_device;
    return next_instance ? next_instance(instance, function) : NULL;
}
