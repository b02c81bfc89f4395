# ExecuTorch built and installed from its sources (which Android takes: there is no wheel for it) names its targets
# otherwise than the wheel does, and its libraries are static. This gives them the wheel's names.
#
# slm_name_in_tree_targets(): makes executorch::NAME for every component that the runner uses, unless the wheel did.

# Operators and backends register themselves, so all objects of these libraries are kept. Some versions' own packages say
# so already; said twice, symbols would be there twice.
function(_slm_kept library result)
  get_target_property(options ${library} INTERFACE_LINK_OPTIONS)
  if("${options}" MATCHES "whole-archive")
    set(${result} ${library} PARENT_SCOPE)
  else()
    set(${result} "$<LINK_LIBRARY:WHOLE_ARCHIVE,${library}>" PARENT_SCOPE)
  endif()
endfunction()

# KEPT libraries register something; OTHERS are linked for what is asked of them, as far as this version has them.
function(_slm_name_component component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "KEPT;OTHERS")
  set(items)
  foreach(library ${arg_KEPT})
    if(NOT TARGET ${library})
      message(FATAL_ERROR "This build of ExecuTorch lacks ${library}, which is executorch::${component} here: "
                          "docs/android_app.md lists the options to build it with.")
    endif()
    _slm_kept(${library} item)
    list(APPEND items ${item})
  endforeach()
  foreach(library ${arg_OTHERS})
    if(TARGET ${library})
      list(APPEND items ${library})
    endif()
  endforeach()
  add_library(executorch::${component} INTERFACE IMPORTED GLOBAL)
  set_target_properties(
    executorch::${component} PROPERTIES INTERFACE_LINK_LIBRARIES "${items}" INTERFACE_INCLUDE_DIRECTORIES
                                                                             "${EXECUTORCH_INCLUDE_DIRS}")
endfunction()

function(slm_name_in_tree_targets)
  if(TARGET executorch::runtime)
    return()
  endif()
  if(NOT TARGET executorch OR NOT TARGET executorch_core)
    message(FATAL_ERROR "The package of ExecuTorch in ${executorch_DIR} has neither the wheel's targets nor those of a "
                        "build from source (executorch, executorch_core).")
  endif()
  if(NOT EXECUTORCH_INCLUDE_DIRS)
    get_target_property(EXECUTORCH_INCLUDE_DIRS executorch_core INTERFACE_INCLUDE_DIRECTORIES)
  endif()
  if(TARGET prim_ops_lib)
    _slm_name_component(runtime KEPT prim_ops_lib OTHERS executorch extension_data_loader extension_tensor executorch_core)
  else()
    # Older versions have the operators of every program in this library.
    _slm_name_component(runtime KEPT executorch OTHERS extension_data_loader extension_tensor executorch_core)
  endif()
  _slm_name_component(threadpool OTHERS extension_threadpool pthreadpool cpuinfo)
  _slm_name_component(kernels_optimized KEPT optimized_native_cpu_ops_lib OTHERS optimized_kernels cpublas eigen_blas
                      optimized_portable_kernels portable_kernels)
  _slm_name_component(kernels_quantized KEPT quantized_ops_lib OTHERS quantized_kernels)
  _slm_name_component(backend_xnnpack KEPT xnnpack_backend OTHERS XNNPACK xnnpack-microkernels-prod kleidiai)
endfunction()
