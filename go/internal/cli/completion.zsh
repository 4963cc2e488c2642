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
	esac
	list=("${(@f)$(PROGRAM --completion-bash "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	compadd -a list
}

_PROGRAM "$@"
