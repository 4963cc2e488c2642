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
    if test "$args[1]" = playbook; and contains -- "$args[2]" run show validate
        set -l where
        set -l i (contains -i -- --modulepath $args)
        and set where --modulepath $args[(math $i + 1)]
        if string match -q -- '-*' "$word"; and test "$args[2]" = run
            set -q args[3]; and not string match -q -- '-*' "$args[3]"; and set -a where --playbook "$args[3]"
            PROGRAM completion --list options $where 2>/dev/null
            return
        else if not string match -q -- '-*' "$word"; and begin; test (count $args) -eq 2; or test "$args[2]" = validate; end
            PROGRAM completion --list playbooks $where 2>/dev/null
            return
        end
    end
    PROGRAM --completion-bash $args "$word" 2>/dev/null
end

complete -c PROGRAM -f -a '(__PROGRAM_complete)'
