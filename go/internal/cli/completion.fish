# Completion of PROGRAM for fish. Made by: PROGRAM completion --fish

function __PROGRAM_complete
    set -l args (commandline -opc)
    set -e args[1]
    set -l word (commandline -ct)
    if contains -- "$args[1]" rpc req request; and not string match -q -- '-*' "$word"
        set -l list
        switch (count $args)
            case 1
                set list (PROGRAM completion --fish --list agents 2>/dev/null)
            case 2
                set list (PROGRAM completion --fish --list actions --agent "$args[2]" 2>/dev/null)
            case '*'
                set list (PROGRAM completion --fish --list inputs --agent "$args[2]" --action "$args[3]" 2>/dev/null)
        end
        if test (count $list) -gt 0
            printf '%s\n' $list
            return
        end
    end
    PROGRAM --completion-bash $args "$word" 2>/dev/null
end

complete -c PROGRAM -f -a '(__PROGRAM_complete)'
