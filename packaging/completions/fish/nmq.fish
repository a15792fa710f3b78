# SPDX-License-Identifier: GPL-2.0

# Words before the cursor that are no options.
function __nmq_words
    set -l words
    set -l skip 0
    for w in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $w -o --output
            set skip 1
        else if not string match -q -- '-*' $w
            set -a words $w
        end
    end
    test -n "$words"; and printf '%s\n' $words
end

# Are they these, and N more?
function __nmq_at
    set -l words (__nmq_words)
    set -l more $argv[1]
    set -l want $argv[2..]
    test (count $words) -eq (math (count $want) + $more); or return 1
    for i in (seq (count $want))
        contains -- $words[$i] (string split , $want[$i]); or return 1
    end
end

function __nmq_in
    set -l words (__nmq_words)
    test (count $words) -ge (count $argv); or return 1
    for i in (seq (count $argv))
        contains -- $words[$i] (string split , $argv[$i]); or return 1
    end
end

function __nmq_queues
    set -l words (__nmq_words)
    for q in /sys/class/net/$words[3]/queues/rx-*
        string replace -r '.*rx-' '' $q
    end
end

function __nmq_pids
    set -l words (__nmq_words)
    for s in /run/nm_offload/$words[3]-*.sock
        string replace -r '.*-([0-9]+)\.sock$' '$1' $s
    end
end

complete -c nmq -f
complete -c nmq -s j -l json -d 'Print JSON'
complete -c nmq -s p -l pretty -d 'Print JSON, indented'
complete -c nmq -s h -l help -d 'Print help'
complete -c nmq -n '__nmq_at 0' -s V -l version -d 'Print version'
complete -c nmq -n '__nmq_at 0' -a port -d 'Interfaces whose driver has hooks'
complete -c nmq -n '__nmq_at 0' -a queue -d 'Rings, owners, counters'
complete -c nmq -n '__nmq_at 0' -a metrics -d 'Everything, for Prometheus'
complete -c nmq -n '__nmq_at 0' -a help -d 'Print help'
complete -c nmq -n '__nmq_at 0 help' -a 'port queue metrics'
complete -c nmq -n '__nmq_at 0 port' -a 'show list' -d 'List ports'
complete -c nmq -n '__nmq_at 0 queue' -a 'show list' -d 'List queues'
complete -c nmq -n '__nmq_at 0 queue' -a add -d 'Have a program take a queue'
complete -c nmq -n '__nmq_at 0 queue' -a 'del delete' -d 'Have a program give a queue back'
complete -c nmq -n '__nmq_at 0 port,queue show,list' -a '(__fish_print_interfaces)'
complete -c nmq -n '__nmq_in queue show,list' -s s -l stats -d 'With counters'
complete -c nmq -n '__nmq_at 0 queue add,del,delete' -a '(__fish_print_interfaces)'
complete -c nmq -n '__nmq_at 1 queue add,del,delete' -a '(__nmq_queues)'
complete -c nmq -n '__nmq_at 2 queue add,del,delete' -a pid
complete -c nmq -n '__nmq_at 3 queue add,del,delete' -a '(__nmq_pids)'
complete -c nmq -n '__nmq_in metrics' -s o -l output -r -F -d 'Replace this file'
