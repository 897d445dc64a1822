# Decide, before any language is enabled, whether the CUDA core can be built and with which nvcc; CMake then
# takes it from CMAKE_CUDA_COMPILER.
#
#   1. an nvcc that was named (CMAKE_CUDA_COMPILER, CUDACXX) or is on the PATH, if it is CUDA 12.8 or newer;
#   2. the one that pip put into the build environment: nvidia/cu13/bin/nvcc beside some Python package folder.
#      Its static runtime lies in lib (wheels have no lib64), which its own configuration does not name.
#
# Sets napari_msd_has_cuda and napari_msd_cuda_link_folder. Without a working nvcc only the CPU core is built.
set(napari_msd_has_cuda OFF)
set(napari_msd_cuda_link_folder "")
option(NAPARI_MSD_CUDA "Build the CUDA core where nvcc is found" ON)

# nvcc is CUDA 12.8 or newer (the first that knows all our targets; what CUDA 12 builds runs with drivers from 525 on,
# what CUDA 13 builds from 580 on) and really makes a library with this machine's compiler: it may refuse a host compiler
# newer than itself, and enable_language would then end the whole build, the CPU core's too.
function(napari_msd_check_nvcc nvcc link_folder result)
  set(${result} OFF PARENT_SCOPE)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE failed)
  if(failed OR NOT text MATCHES "release ([0-9]+\\.[0-9]+)" OR CMAKE_MATCH_1 VERSION_LESS 12.8)
    return()
  endif()
  set(trial ${CMAKE_BINARY_DIR}/nvcc_trial)
  file(WRITE ${trial}/trial.cu "#include <vector>\n__global__ void kernel() {}\nvoid run() { kernel<<<1, 1>>>(); }\n")
  set(link "")
  if(link_folder)
    set(link -L${link_folder})
  endif()
  if(napari_msd_cuda_host)
    list(APPEND link -ccbin ${napari_msd_cuda_host})
  endif()
  execute_process(COMMAND ${nvcc} -std=c++17 -arch=sm_75 -shared -Xcompiler -fPIC -cudart static ${link}
    -o ${trial}/trial.so ${trial}/trial.cu OUTPUT_QUIET ERROR_VARIABLE complaint RESULT_VARIABLE failed)
  if(failed)
    message(WARNING "${nvcc} does not work here, so it is not used: ${complaint}")
    return()
  endif()
  set(${result} ON PARENT_SCOPE)
endfunction()

# The host compiler that nvcc is tried with is the one that it builds with: who names a compiler for C++ means it for
# CUDA, too, where the system's own is perhaps too new for nvcc. (CMake looks at CUDAHOSTCXX only.)
set(napari_msd_cuda_host "")
if(CMAKE_CUDA_HOST_COMPILER)
  set(napari_msd_cuda_host ${CMAKE_CUDA_HOST_COMPILER})
elseif(DEFINED ENV{CUDAHOSTCXX})
  set(napari_msd_cuda_host $ENV{CUDAHOSTCXX})
elseif(CMAKE_CXX_COMPILER)
  set(napari_msd_cuda_host ${CMAKE_CXX_COMPILER})
elseif(DEFINED ENV{CXX})
  # "ccache g++ -m64": neither the cache nor options are a compiler.
  separate_arguments(words NATIVE_COMMAND "$ENV{CXX}")
  foreach(word IN LISTS words)
    if(NOT word MATCHES "(^|/)(s?ccache|distcc)$")
      set(napari_msd_cuda_host ${word})
      break()
    endif()
  endforeach()
endif()

if(NAPARI_MSD_CUDA AND CMAKE_HOST_SYSTEM_NAME STREQUAL "Linux")
  execute_process(COMMAND uname -m OUTPUT_VARIABLE machine OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(machine MATCHES "^(x86_64|aarch64)$")
    set(candidates ${CMAKE_CUDA_COMPILER} $ENV{CUDACXX})
    find_program(napari_msd_nvcc_on_path nvcc NO_CMAKE_PATH NO_CMAKE_SYSTEM_PATH)
    if(napari_msd_nvcc_on_path)
      list(APPEND candidates ${napari_msd_nvcc_on_path})
    endif()
    # pip's isolated environment and a venv are both on CMake's prefix or Python's path.
    find_program(napari_msd_python NAMES python3 python)
    foreach(python IN ITEMS ${Python_EXECUTABLE} ${PYTHON_EXECUTABLE} ${napari_msd_python})
      execute_process(COMMAND ${python} -c
        "import importlib.util as u; s = u.find_spec('nvidia'); print(*(s.submodule_search_locations if s else []), sep=';')"
        OUTPUT_VARIABLE folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      foreach(folder IN LISTS folders)
        if(EXISTS ${folder}/cu13/bin/nvcc)
          list(APPEND candidates ${folder}/cu13/bin/nvcc)
        endif()
      endforeach()
    endforeach()
    foreach(nvcc IN LISTS candidates)
      get_filename_component(toolkit ${nvcc} DIRECTORY)
      get_filename_component(toolkit ${toolkit} DIRECTORY)
      set(link_folder "")
      if(EXISTS ${toolkit}/lib/libcudart_static.a)
        set(link_folder ${toolkit}/lib)
      endif()
      napari_msd_check_nvcc(${nvcc} "${link_folder}" works)
      if(works)
        set(napari_msd_has_cuda ON)
        set(CMAKE_CUDA_COMPILER ${nvcc})
        if(napari_msd_cuda_host)
          set(CMAKE_CUDA_HOST_COMPILER ${napari_msd_cuda_host})
        endif()
        set(napari_msd_cuda_link_folder "${link_folder}")
        if(link_folder)
          set(CMAKE_CUDA_FLAGS_INIT "-L${link_folder}") # for CMake's own trial of the compiler
        endif()
        break()
      endif()
    endforeach()
    message(STATUS "CUDA core: ${napari_msd_has_cuda} (nvcc: ${CMAKE_CUDA_COMPILER})")
  endif()
endif()
