/* The C ABI of napari-msd's compiled cores: the only contract between Python and compiled code.
 *
 * One shared library per kind of device (napari_msd_cpu, napari_msd_cuda) exports exactly these
 * functions. One call does one pass over the whole Mixed-Scale Dense network, the final 1x1
 * convolution included. Nothing here knows torch or Python.
 *
 * The network (Pelt & Sethian, PNAS 115(2), 2018, Eqs. 3 to 5). With c_0 = in_channels, w = width and
 * map numbers 0 .. c_0 + depth*w - 1 (the input's channels first, then layer after layer), hidden
 * channel q = i*w + j (layer i, channel j of it) is
 *
 *   z[c_0 + q](x) = ReLU( bias[q] + sum over maps l < c_0 + i*w and taps t of
 *                         weight[q][l][t] * z[l]( fold(x + dilation[q] * offset(t)) ) )
 *
 * with the 3x3 (3x3x3) taps' offsets in {-1, 0, 1}, and fold() the boundary rule; along Z the dilation may
 * be another one, dilation_z[q]. The logits are
 *
 *   y[k](x) = output_bias[k] + sum over all maps l of output_weight[k][l] * z[l](x).
 *
 * Arrays (all C-contiguous, of the problem's dtype, in the device's memory; maps and
 * workspace at addresses that are multiples of 64 (CPU) or 256 (CUDA) bytes, the others naturally aligned):
 *
 *   input, grad_input      (batch, in_channels, [Z,] Y, X)
 *   logits, grad_logits    (batch, n_classes, [Z,] Y, X)
 *   weight, grad_weight    flat: layer after layer, each (width, in_channels + i*width, [3,] 3, 3)
 *   bias, grad_bias        (depth*width)
 *   output_weight, grad_*  (n_classes, in_channels + depth*width)
 *   output_bias, grad_*    (n_classes)
 *   maps                   opaque: what the forward pass saves for the backward pass
 *   workspace              opaque scratch; its contents need not survive a call
 *
 * Policy: no call allocates device memory, keeps a pointer after it returned (CUDA: after the stream's
 * work is done), throws, prints, or waits for the device. Every call returns an msd_error.
 * A CPU core's calls return when the work is done and ignore the stream.
 */
#ifndef NAPARI_MSD_H
#define NAPARI_MSD_H

#include <stdint.h>

#if defined(_WIN32)
#define MSD_API __declspec(dllexport)
#else
#define MSD_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a signature, a struct or a layout below changes: Python refuses another number. */
#define MSD_ABI_VERSION 8

typedef enum msd_boundary {
  MSD_REFLECT = 0,   /* mirror about the edge pixel: ... 2 1 [0 1 2] 1 0 ... */
  MSD_SYMMETRIC = 1, /* mirror about the edge:       ... 1 0 [0 1 2] 2 1 ... */
  MSD_ZEROS = 2      /* zero outside */
} msd_boundary;

typedef enum msd_dtype { MSD_FLOAT32 = 0, MSD_FLOAT64 = 1 } msd_dtype;

/* How maps (and the gradients of maps) are stored. 16-bit maps need dtype float32: sums, parameters, logits and
 * the gradients of parameters stay in it. A core that does not serve them answers MSD_UNSUPPORTED. */
typedef enum msd_map_dtype { MSD_MAPS_AS_DTYPE = 0, MSD_MAPS_BFLOAT16 = 1, MSD_MAPS_FLOAT16 = 2 } msd_map_dtype;

/* How a CUDA core divides a pass into launches; a CPU core ignores it. The results may differ by rounding. */
typedef enum msd_schedule {
  MSD_STAGED = 0,     /* one launch per layer and per sweep of a block of layers */
  MSD_COOPERATIVE = 1 /* one launch for all layers, whose blocks of threads wait for one another; where the device or
                       * the problem does not allow it, every call answers MSD_UNSUPPORTED */
} msd_schedule;

typedef enum msd_error {
  MSD_OK = 0,
  MSD_BAD_ARGUMENT = 1,  /* a size, enum or pointer outside its range */
  MSD_UNSUPPORTED = 2,   /* a valid problem that this core does not serve: use another path */
  MSD_OUT_OF_MEMORY = 3, /* host bookkeeping could not be allocated, or more is needed than any memory holds */
  MSD_NO_DEVICE = 4,     /* no GPU of that number, or no driver at all */
  MSD_DEVICE_FAILED = 5, /* the device refused a launch, or an earlier asynchronous failure showed up */
  MSD_INTERNAL = 6,      /* anything else */
  MSD_OLD_DRIVER = 7,    /* the driver cannot run this library */
  MSD_OLD_DEVICE = 8     /* the library has no code for that GPU */
} msd_error;

typedef struct msd_problem {
  int64_t batch;              /* images, >= 0; with 0 a call zeroes the parameter gradients and returns */
  int64_t sizes[3];           /* Z, Y, X in pixels, each >= 1; Z = 1 when ndim is 2 */
  const int32_t *dilations;   /* HOST memory: depth*width dilations in pixels, each >= 1 */
  int32_t in_channels;        /* >= 1 */
  int32_t depth;              /* >= 1 */
  int32_t width;              /* >= 1 */
  int32_t n_classes;          /* >= 1 */
  int32_t ndim;               /* 2 or 3 */
  int32_t boundary;           /* msd_boundary */
  int32_t dtype;              /* msd_dtype */
  int32_t threads;            /* CPU threads, >= 1: most that are used. The same number gives the same bits, also where
                             * fewer come (few cores, busy ones, or no more threads can be started) */
  int32_t keep_maps;          /* 0: no backward pass will follow, maps may be smaller */
  int32_t map_dtype;          /* msd_map_dtype */
  const int32_t *dilations_z; /* HOST memory: depth*width dilations along Z in pixels, each >= 1; NULL: those of
                               * `dilations`. NULL when ndim is 2 */
  int32_t schedule;           /* msd_schedule; both passes over the same maps may use different ones */
} msd_problem;

/* Bytes of device memory that the caller provides for a pass over this problem. Without keep_maps there is no
 * backward pass: its workspace is 0. */
typedef struct msd_memory {
  int64_t maps;
  int64_t forward_workspace;
  int64_t backward_workspace;
} msd_memory;

MSD_API int32_t msd_abi_version(void);
MSD_API const char *msd_version(void);
/* "cpu", "cuda" or, in the tests, "cuda-shim". */
MSD_API const char *msd_kind(void);
/* What runs on this machine: "AVX-512", "AVX2", "baseline" or "NEON"; the GPU targets for CUDA. */
MSD_API const char *msd_variant(void);
/* English for an error code; never NULL. */
MSD_API const char *msd_error_text(int32_t error);
/* What this thread's last call failed on, in the machine's own words (the name of the CUDA error, the text of an
 * exception); "" where it did not fail or nothing more is known. Never NULL; good until the thread's next call. */
MSD_API const char *msd_last_error(void);
/* MSD_OK when this library can run on that device now: the GPU is there, its driver is new enough, the library has
 * code for it. (CUDA: makes the device's context, as a first allocation would.) A CPU core ignores the number. */
MSD_API int32_t msd_probe(int32_t device);

/* Waits for the stream's work, and answers MSD_DEVICE_FAILED when in a cooperative pass on the current device a block of
 * threads gave up waiting for another one since the last such call: what passes computed since then is wrong. Blocks
 * give up after a second or two, so that no pass ever hangs, and put NaN among what they compute then. Not while a graph is captured. A CPU core: MSD_OK. */
MSD_API int32_t msd_check_waits(void *stream);

/* Answers MSD_UNSUPPORTED when this core, or (CUDA) the current device, cannot run the problem by its schedule. */
MSD_API int32_t msd_memory_needed(const msd_problem *problem, msd_memory *memory);

MSD_API int32_t msd_forward(const msd_problem *problem, const void *input, const void *weight, const void *bias,
                            const void *output_weight, const void *output_bias, void *maps, void *logits,
                            void *workspace, void *stream);

/* grad_input may be NULL: then it is not computed. The gradients are overwritten, not added to. */
MSD_API int32_t msd_backward(const msd_problem *problem, const void *grad_logits, const void *maps, const void *weight,
                             const void *output_weight, void *grad_input, void *grad_weight, void *grad_bias,
                             void *grad_output_weight, void *grad_output_bias, void *workspace, void *stream);

/* For benchmarks: `rounds` of nothing but fused multiply-adds in registers, on `threads` threads (CPU) or on
 * the whole card, so that the caller can time what this machine can do at most. `flops` receives how many
 * operations that is, two per multiply-add. `sink` is 64 bytes of the device's memory that are overwritten. */
MSD_API int32_t msd_fma_work(int32_t dtype, int32_t threads, int64_t rounds, double *flops, void *sink, void *stream);

/* For benchmarks: passes a cache line to and fro between two threads of the CPU `rounds` times, for a tenth of a
 * second at most. `nanoseconds` receives the mean one-way time; 0 where no second thread or no core for it was to be
 * had. A core for another device answers MSD_UNSUPPORTED. */
MSD_API int32_t msd_handover(int64_t rounds, double *nanoseconds);

#ifdef __cplusplus
}
#endif

#endif
