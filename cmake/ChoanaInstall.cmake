# What lies where on a machine: `cmake --install build/release --prefix /usr`. Settings are the administrator's and not installed.
install(TARGETS choana choanad RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY conf/models DESTINATION "${CMAKE_INSTALL_DATADIR}/choana" PATTERN scripts EXCLUDE)
install(FILES conf/choana.toml conf/series-rules.toml DESTINATION "${CMAKE_INSTALL_DATADIR}/choana")
install(FILES systemd/choana.service DESTINATION lib/systemd/system)
install(FILES systemd/choana.sysusers DESTINATION lib/sysusers.d RENAME choana.conf)
install(FILES systemd/choana.tmpfiles DESTINATION lib/tmpfiles.d RENAME choana.conf)
install(FILES docs/man/choana.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES docs/man/choanad.8 DESTINATION "${CMAKE_INSTALL_MANDIR}/man8")
