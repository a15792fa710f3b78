# SPDX-License-Identifier: GPL-2.0

# The interface, once it is there.
function __nm_offload_interface
    set -l skip 0
    for w in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $w --pass --drop --default --steer --interval --duration --threads --config
            set skip 1
        else if not string match -q -- '-*' $w
            echo $w
            return
        end
    end
    return 1
end

function __nm_offload_queues
    for q in /sys/class/net/(__nm_offload_interface)/queues/rx-*
        string replace -r '.*rx-' '' $q
    end
end

complete -c nm_offload -f
complete -c nm_offload -n 'not __nm_offload_interface' -a '(__fish_print_interfaces)'
complete -c nm_offload -n __nm_offload_interface -a '(__nm_offload_queues)' -d queue
complete -c nm_offload -l pass -x -d 'Put back what matches'
complete -c nm_offload -l drop -x -d 'Drop what matches'
complete -c nm_offload -l default -x -a 'pass drop' -d 'Packets that match nothing'
complete -c nm_offload -l count-only -d 'Count and drop everything'
complete -c nm_offload -l steer -x -a 'udp4 tcp4 ip4' -d 'Steer a flow to a queue'
complete -c nm_offload -l enable-ntuple -d 'Switch filter rules on'
complete -c nm_offload -l json -d 'JSON instead of lines, or to =FILE besides'
complete -c nm_offload -l interval -x -d 'Seconds between the lines'
complete -c nm_offload -l duration -x -d 'End after so many seconds'
complete -c nm_offload -l threads -x -d 'Threads to spread queues over'
complete -c nm_offload -l busy -d 'Poll without sleeping'
complete -c nm_offload -l config -r -F -d 'Options from a file'
complete -c nm_offload -s h -l help -d 'Print help'
complete -c nm_offload -s V -l version -d 'Print version'
