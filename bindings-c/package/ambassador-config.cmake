# find_package(ambassador) gives ambassador::ambassador, the shared library, and ambassador::static.
get_filename_component(_ambassador_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET ambassador::ambassador)
  add_library(ambassador::ambassador SHARED IMPORTED)
  set_target_properties(ambassador::ambassador PROPERTIES
    IMPORTED_LOCATION "${_ambassador_prefix}/lib/libambassador.so.0"
    IMPORTED_SONAME "libambassador.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${_ambassador_prefix}/include")

  add_library(ambassador::static STATIC IMPORTED)
  set_target_properties(ambassador::static PROPERTIES
    IMPORTED_LOCATION "${_ambassador_prefix}/lib/libambassador.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_ambassador_prefix}/include"
    INTERFACE_LINK_LIBRARIES "pthread;dl;m;gcc_s")
endif()

unset(_ambassador_prefix)
