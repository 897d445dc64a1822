#!/bin/sh
# Build and check the CUDA core on a machine with a GPU that has only torch, numpy, pytest, cmake, a C++ compiler
# and nvcc: builds both cores, runs the GPU tests, compute-sanitizer where it is installed, and the benchmark.
#
#   sh benchmarks/gpu_check.sh [build folder]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/gpu_check}
jobs=$(nproc)

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release
cmake --build "$build" -j "$jobs"

export PYTHONPATH="$PWD/src" NAPARI_MSD_LIBRARY_FOLDER="$PWD/$build" PYTHONUNBUFFERED=1
# -c: the project's own pytest options want plugins that such a machine lacks.
tests="python3 -m pytest -c /dev/null --rootdir . -p no:cacheprovider -q"
python3 -c "
from napari_msd.native import library_statuses
for status in library_statuses():
    print(status.reason)
assert all(status.usable for status in library_statuses())"
$tests tests/native/test_gpu.py
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck initcheck; do
        echo "== compute-sanitizer $tool"
        # torch's caching allocator hides overruns between tensors: without it each tensor stands alone.
        PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" --error-exitcode 1 \
            --kernel-name kernel_substring=napari_msd \
            $tests tests/native/test_gpu.py -k "any_size and 33"
    done
fi
python3 benchmarks/kernels.py --device cuda
