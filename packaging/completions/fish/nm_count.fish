# SPDX-License-Identifier: GPL-2.0

complete -c nm_count -f -a '(__fish_print_interfaces)'
complete -c nm_count -s i -l interval -x -d 'Seconds between lines'
complete -c nm_count -s d -l duration -x -d 'End after so many seconds'
complete -c nm_count -s c -l count -x -d 'End after so many packets'
complete -c nm_count -s m -l metadata -d 'Sum up what the card knows'
complete -c nm_count -s h -l help -d 'Print help'
complete -c nm_count -s V -l version -d 'Print version'
