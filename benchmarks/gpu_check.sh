#!/bin/sh
# Build and check the CUDA core on a machine with a GPU that has only torch, numpy, pytest, cmake, a C++ compiler
# and nvcc: builds both cores, runs the GPU tests, compute-sanitizer where it is installed, and the benchmark.
#
# The bench compares with torch eager and torch.compile on the same card; torch.compile wants triton, which
# PyPI's torch brings, and compiles 100 layers for some minutes.
#
#   sh benchmarks/gpu_check.sh [build folder]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/gpu_check}
jobs=$(nproc)

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNAPARI_MSD_CUDA_REPORT=ON
cmake --build "$build" -j "$jobs" > "$build/report.txt" 2>&1 || { cat "$build/report.txt"; exit 1; }
grep -B1 -A1 "[1-9][0-9]* bytes spill stores" "$build/report.txt" || echo "no kernel spills registers"

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
            $tests tests/native/test_gpu.py -k "(any_size and 33x17) or 40x700 or three_dimensions_block"
    done
fi
cat << 'AIMS'
== aims on an H200 (bench below; "best" of the graph rows)
   100:1x512x512   forward < 0.6 ms; step < 2 ms in float32, < 1 ms with 16-bit maps
   30:16x128x128   step < 0.3 ms
   core beside torch naive: at least 20x; beside torch.compile: at least 3x
AIMS
python3 benchmarks/kernels.py --device cuda --case 100:1x512x512 --case 30:16x128x128
python3 benchmarks/kernels.py --device cuda --only core --only core-graph --only core-16bit --only core-16bit-graph --only blocked
