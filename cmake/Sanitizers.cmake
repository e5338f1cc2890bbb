if(QSIM_SANITIZE)
  add_compile_options(-fsanitize=${QSIM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QSIM_SANITIZE})
endif()
