# SPDX-License-Identifier: GPL-2.0

complete -c nm_bridge -f -a '(__fish_print_interfaces)'
complete -c nm_bridge -s o -l one-way -d 'From the first to the second only'
complete -c nm_bridge -s i -l interval -x -d 'Seconds between lines'
complete -c nm_bridge -s d -l duration -x -d 'End after so many seconds'
complete -c nm_bridge -s q -l quiet -d 'Nothing but the summary'
complete -c nm_bridge -s h -l help -d 'Print help'
complete -c nm_bridge -s V -l version -d 'Print version'
