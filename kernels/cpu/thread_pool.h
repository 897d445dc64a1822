// A process-wide pool of sleeping threads.
//
// Own threads, not OpenMP: torch brings its own OpenMP runtime, and two of them in one process fight.
#pragma once

#include <functional>

namespace napari_msd {

using Task = void (*)(void *context, int thread);

// Runs task(context, 0) on the calling thread and task(context, t) for as many other t < threads as come while it runs,
// and returns when all that began are done. A thread may come late or not at all: other processes have the cores, there
// are fewer cores than `threads`, or the system starts no more threads. So tasks take their work from what is left, and
// the calling thread must be able to do all of it.
//
// Calls from several threads wait for each other. After a fork the child starts its own threads.
void run_in_parallel(int threads, Task task, void *context);

// For tests: how a thread is started that runs `body` (false: it cannot be; null: as usual), and how many cores there are.
using StartThread = bool (*)(std::function<void()> body);
void set_up_pool(StartThread start, int cores);

}  // namespace napari_msd
