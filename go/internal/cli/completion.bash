# Completion of PROGRAM for bash. Made by: PROGRAM completion --bash

_PROGRAM_complete() {
	local word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" list=""
	COMPREPLY=()
	case "$command" in
	rpc | req | request)
		case "$COMP_CWORD" in
		2) list="$(PROGRAM completion --list agents 2>/dev/null)" ;;
		3) list="$(PROGRAM completion --list actions --agent "${COMP_WORDS[2]}" 2>/dev/null)" ;;
		*)
			if [[ "$word" != -* ]]; then
				list="$(PROGRAM completion --list inputs --agent "${COMP_WORDS[2]}" --action "${COMP_WORDS[3]}" 2>/dev/null)"
				compopt -o nospace
				mapfile -t COMPREPLY < <(compgen -S = -W "$list" -- "$word")
				return
			fi
			;;
		esac
		;;
	esac
	if [[ -z "$list" ]]; then
		list="$("${COMP_WORDS[0]}" --completion-bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
}

complete -F _PROGRAM_complete PROGRAM
