#compdef PROGRAM
# Completion of PROGRAM for zsh. Made by: PROGRAM completion --zsh

_PROGRAM() {
	local -a list
	case "${words[2]}" in
	rpc | req | request)
		if [[ "${words[CURRENT]}" != -* ]]; then
			case "$CURRENT" in
			3) list=("${(@f)$(PROGRAM completion --zsh --list agents 2>/dev/null)}") && _describe -t agents agent list && return ;;
			4) list=("${(@f)$(PROGRAM completion --zsh --list actions --agent "${words[3]}" 2>/dev/null)}") && _describe -t actions action list && return ;;
			*) list=("${(@f)$(PROGRAM completion --zsh --list inputs --agent "${words[3]}" --action "${words[4]}" 2>/dev/null)}") && _describe -t inputs input list -S = && return ;;
			esac
		fi
		;;
	playbook)
		local -a path_
		local i=${words[(I)--modulepath]}
		((i == 0)) || path_=(--modulepath "${words[i + 1]}")
		case "${words[3]}" in
		run | show | validate)
			if [[ "${words[CURRENT]}" == -* && "${words[3]}" == run ]]; then
				[[ "${words[4]}" == -* ]] || path_+=(--playbook "${words[4]}")
				list=("${(@f)$(PROGRAM completion --list options $path_ 2>/dev/null)}") && compadd -a list && return
			elif [[ "${words[CURRENT]}" != -* && ("$CURRENT" == 4 || "${words[3]}" == validate) ]]; then
				list=("${(@f)$(PROGRAM completion --list playbooks $path_ 2>/dev/null)}") && compadd -a list && return
			fi
			;;
		esac
		;;
	esac
	list=("${(@f)$(PROGRAM --completion-bash "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	compadd -a list
}

_PROGRAM "$@"
