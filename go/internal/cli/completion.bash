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
	if [[ "${COMP_WORDS[1]}" == playbook && "${COMP_WORDS[2]}" =~ ^(run|show|validate)$ && "$COMP_CWORD" -ge 3 ]]; then
		_PROGRAM_playbook
		[[ ${#COMPREPLY[@]} -eq 0 ]] || return
	fi
	if [[ -z "$list" ]]; then
		list="$(PROGRAM --completion-bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
}

# Bash takes the colons in the names of playbooks for words.
_PROGRAM_playbook() {
	local words=() path=() list="" glue="" i word
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word="${COMP_WORDS[i]}"
		if [[ "$word" == :* || -n "$glue" ]]; then words[-1]+="$word"; else words+=("$word"); fi
		[[ "$word" == *: ]] && glue=yes || glue=""
	done
	for ((i = 3; i < ${#words[@]} - 1; i++)); do
		[[ "${words[i]}" != --modulepath ]] || path=(--modulepath "${words[i + 1]}")
	done
	word="${words[-1]}"
	if [[ "$word" == -* && "${words[2]}" == run ]]; then
		[[ "${words[3]}" == -* ]] || path+=(--playbook "${words[3]}")
		list="$(PROGRAM completion --list options "${path[@]}" 2>/dev/null)"
	elif [[ "$word" != -* && ("${#words[@]}" -eq 4 || "${words[2]}" == validate) ]]; then
		list="$(PROGRAM completion --list playbooks "${path[@]}" 2>/dev/null)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
	# It replaces what is behind the last colon alone.
	if [[ "$word" == *:* ]]; then COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}"); fi
}

complete -F _PROGRAM_complete PROGRAM
