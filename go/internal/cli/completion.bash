# Completion of PROGRAM for bash. Made by: PROGRAM completion --bash

_PROGRAM_complete() {
	local word="${COMP_WORDS[COMP_CWORD]}" list=""
	COMPREPLY=()
	if [[ "${COMP_WORDS[1]}" =~ ^(rpc|req|request)$ && "$word" != -* ]]; then
		case "$COMP_CWORD" in
		1) ;;
		2) list="$(PROGRAM completion --list agents 2>/dev/null)" ;;
		3) list="$(PROGRAM completion --list actions --agent "${COMP_WORDS[2]}" 2>/dev/null)" ;;
		*)
			list="$(PROGRAM completion --list inputs --agent "${COMP_WORDS[2]}" --action "${COMP_WORDS[3]}" 2>/dev/null)"
			compopt -o nospace
			mapfile -t COMPREPLY < <(compgen -S = -W "$list" -- "$word")
			return
			;;
		esac
	fi
	if [[ -z "$list" ]]; then
		list="$(PROGRAM --completion-bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
}

complete -F _PROGRAM_complete PROGRAM
