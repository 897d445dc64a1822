#!/bin/sh
# Build and check the CUDA core on a machine with a GPU. Needs torch, numpy, pytest, cmake, ninja or make, a C++
# compiler, nvcc 13, and compute-sanitizer for the stages that check memory.
#
#   sh benchmarks/gpu_check.sh [STAGE ...]
#
#   build      both cores, for this card only; registers and spills of every kernel
#   tests      the GPU's tests, both schedules
#   memcheck   | small networks under compute-sanitizer: accesses out of bounds,
#   racecheck  | races in shared memory,
#   synccheck  | barriers that not all threads reach,
#   initcheck  | memory that is read before it is written
#   training   steps of the real trainer, with 16-bit maps and as a graph: checked, then timed (needs the package's
#              dependencies)
#   bench      the core, plain torch and blocked torch, each checked first; figures as JSON
#   profile    time and executed instructions of each kernel in one training step (ncu)
#   compile    torch.compile of the plain form: minutes of compiling
#
# Without a stage: all but compile. Each takes less than eight minutes; a stage that fails does not stop the later
# ones. NAPARI_MSD_GPU_CHECK_BUILD names the build folder (build/gpu_check), NAPARI_MSD_GPU_CHECK_RESULTS the
# folder for logs and figures (the same).
set -u
cd "$(dirname "$0")/.." || exit 1
build=$(realpath -m "${NAPARI_MSD_GPU_CHECK_BUILD:-build/gpu_check}")
results=$(realpath -m "${NAPARI_MSD_GPU_CHECK_RESULTS:-$build}")
mkdir -p "$build" "$results"
export PYTHONPATH="$PWD/src" NAPARI_MSD_LIBRARY_FOLDER="$build" PYTHONUNBUFFERED=1

# -c: the project's own pytest options want plugins that such a machine lacks.
run_tests() {
    python3 -m pytest -c /dev/null --rootdir . -p no:cacheprovider -q --import-mode=importlib -m gpu \
        tests/native/test_backends.py tests/native/test_backends_exact.py tests/native/test_gpu.py \
        tests/native/test_self_check_of_cores.py tests/network/test_path_times.py tests/network/test_same_bits.py "$@"
}

build_cores() {
    generator=$(command -v ninja > /dev/null && echo "-GNinja")
    card=$(python3 -c "import torch; print('%d%d' % torch.cuda.get_device_capability())")
    # Warnings are no errors here: another compiler than ours may have new ones.
    cmake -S . -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DNAPARI_MSD_CUDA_REPORT=ON \
        -DNAPARI_MSD_CUDA_TARGETS="$card" -DNAPARI_MSD_WARNINGS_AS_ERRORS=OFF > "$results/cmake.txt" 2>&1 \
        && cmake --build "$build" -j "$(nproc)" > "$results/build.txt" 2>&1 \
        || { tail -30 "$results/cmake.txt" "$results/build.txt"; return 1; }
    grep -B1 -A1 "[1-9][0-9]* bytes spill stores" "$results/build.txt" || echo "no kernel spills registers"
    python3 -c "
from napari_msd.native import library_statuses
for status in library_statuses():
    print(status.reason)
assert all(status.usable for status in library_statuses())"
}

sanitize() {
    # torch's caching allocator hides overruns between tensors: without it each tensor stands alone. Failing calls
    # of the CUDA interface inside torch are none of ours.
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$1" --error-exitcode 1 --report-api-errors no \
        --kernel-name kernel_substring=napari_msd python3 -m pytest -c /dev/null --rootdir . -p no:cacheprovider -q \
        --import-mode=importlib -m gpu tests/native/test_backends.py tests/native/test_backends_exact.py \
        tests/native/test_gpu.py \
        -k "(any_size and 33x17) or (bit_for_bit and (33x17 or 4x9x17)) or (16_bit_maps and 33x17) or (cooperative and 33x17)"
}

bench() {
    cat << 'AIMS'
aims on an H100 or H200, in a graph:
  100:1x512x512   forward 0.6 ms; step 2 ms in float32, 1 ms with 16-bit maps
  30:16x128x128   step 0.3 ms
  core beside plain torch: at least 20x; beside torch.compile: at least 3x
AIMS
    python3 benchmarks/kernels.py --device cuda --seconds 1 --json "$results/bench.json" \
        --case 100:1x512x512 --case 30:16x128x128 --case 30:4x128x128 --case 30:1x512x512 --case 30:1x64x64x64 \
        --only core --only core-graph --only core-16bit --only core-16bit-graph --only core-cooperative \
        --only core-cooperative-graph --only core-cooperative-16bit-graph --only blocked --only naive
}

training() {
    python3 -c "import napari_msd.training" && python3 -m pytest -c /dev/null --rootdir . -p no:cacheprovider -q \
        --import-mode=importlib -m gpu tests/training/test_gpu_step.py \
        && python3 benchmarks/training_step.py --device cuda --json "$results/training.json" \
        && python3 benchmarks/training_step.py --device cuda --depth 100 --steps 100
}

profile() {
    ncu --clock-control none --csv --kernel-name-base demangled -k 'regex:napari_msd' \
        --metrics gpu__time_duration.sum,smsp__inst_executed.sum,launch__registers_per_thread \
        python3 benchmarks/_one_step.py > "$results/profile.csv" 2> "$results/profile.err" \
        && python3 benchmarks/_one_step.py --summary "$results/profile.csv"
}

compile_torch() {
    python3 benchmarks/kernels.py --device cuda --seconds 1 --json "$results/compile.json" \
        --case 30:16x128x128 --only core --only core-graph --only naive --only compile
}

failed=""
for stage in ${*:-build tests memcheck racecheck synccheck initcheck training bench profile}; do
    echo "== $stage"
    start=$(date +%s)
    case "$stage" in
        build) build_cores ;;
        tests) run_tests ;;
        memcheck | racecheck | synccheck | initcheck) sanitize "$stage" ;;
        training) training ;;
        bench) bench ;;
        profile) profile ;;
        compile) compile_torch ;;
        *) echo "there is no stage $stage"; false ;;
    esac || failed="$failed $stage"
    echo "== $stage took $(($(date +%s) - start)) s"
done
[ -z "$failed" ] || { echo "FAILED:$failed"; exit 1; }
echo "all green"
