# SPDX-License-Identifier: GPL-2.0

complete -c nm_pktgen -f
complete -c nm_pktgen -n __fish_use_subcommand -a tx -d Send
complete -c nm_pktgen -n __fish_use_subcommand -a rx -d Receive
complete -c nm_pktgen -n __fish_use_subcommand -a help -d 'Print help'
complete -c nm_pktgen -n __fish_use_subcommand -s V -l version -d 'Print version'
complete -c nm_pktgen -s h -l help -d 'Print help'
complete -c nm_pktgen -n '__fish_seen_subcommand_from help' -a 'tx rx'
set -l either '__fish_seen_subcommand_from tx rx'
complete -c nm_pktgen -n $either -a '(__fish_print_interfaces)'
complete -c nm_pktgen -n $either -s c -l count -x -d 'End after so many packets'
complete -c nm_pktgen -n $either -s b -l burst -x -d 'Most packets between two looks at the clock'
complete -c nm_pktgen -n $either -s d -l duration -x -d 'End after so many seconds'
complete -c nm_pktgen -n $either -s i -l interval -x -d 'Seconds between lines'
set -l tx '__fish_seen_subcommand_from tx'
complete -c nm_pktgen -n $tx -s r -l rate -x -d 'Packets a second'
complete -c nm_pktgen -n $tx -s s -l size -x -d 'Bytes of a frame'
complete -c nm_pktgen -n $tx -l dmac -x -d 'Destination MAC'
complete -c nm_pktgen -n $tx -l smac -x -d 'Source MAC'
complete -c nm_pktgen -n $tx -l dst -x -d 'Destination address'
complete -c nm_pktgen -n $tx -l src -x -d 'Source address'
complete -c nm_pktgen -n $tx -l dport -x -d 'Destination port'
complete -c nm_pktgen -n $tx -l sport -x -d 'Source port'
