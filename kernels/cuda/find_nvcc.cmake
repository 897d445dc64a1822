# Decide, before any language is enabled, whether the CUDA core can be built and with which nvcc; CMake then
# takes it from CMAKE_CUDA_COMPILER.
#
#   1. an nvcc that was named (CMAKE_CUDA_COMPILER, CUDACXX) or is on the PATH, if it is CUDA 13;
#   2. the one that pip put into the build environment: nvidia/cu13/bin/nvcc beside some Python package folder.
#      Its static runtime lies in lib (wheels have no lib64), which its own configuration does not name.
#
# Sets napari_msd_has_cuda and napari_msd_cuda_link_folder. Without a working nvcc only the CPU core is built.
set(napari_msd_has_cuda OFF)
set(napari_msd_cuda_link_folder "")
option(NAPARI_MSD_CUDA "Build the CUDA core where nvcc is found" ON)

# nvcc answers and is new enough: the targets need 12.8, and drivers for CUDA 13 are what torch needs too.
function(napari_msd_check_nvcc nvcc result)
  set(${result} OFF PARENT_SCOPE)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND text MATCHES "release ([0-9]+)\\." AND CMAKE_MATCH_1 GREATER_EQUAL 13)
    set(${result} ON PARENT_SCOPE)
  endif()
endfunction()

if(NAPARI_MSD_CUDA AND CMAKE_HOST_SYSTEM_NAME STREQUAL "Linux")
  execute_process(COMMAND uname -m OUTPUT_VARIABLE machine OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(machine STREQUAL "x86_64")
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
      napari_msd_check_nvcc(${nvcc} works)
      if(works)
        set(napari_msd_has_cuda ON)
        set(CMAKE_CUDA_COMPILER ${nvcc})
        get_filename_component(toolkit ${nvcc} DIRECTORY)
        get_filename_component(toolkit ${toolkit} DIRECTORY)
        if(EXISTS ${toolkit}/lib/libcudart_static.a)
          set(napari_msd_cuda_link_folder ${toolkit}/lib)
          # Also for CMake's own trial of the compiler.
          set(CMAKE_CUDA_FLAGS_INIT "-L${toolkit}/lib")
        endif()
        break()
      endif()
    endforeach()
    message(STATUS "CUDA core: ${napari_msd_has_cuda} (nvcc: ${CMAKE_CUDA_COMPILER})")
  endif()
endif()
