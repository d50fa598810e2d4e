# door.sh: where the tool is entered.

# Nobody waits for an answer of these. Others are told where it begins: what stands
# before it is of the user's login shell.
case " supervise reap expire late outstay attend $unasked" in
*" $1 "*) ;;
*)
	far=$elsewhere
	IFS= read -r mark || exit 1
	printf '%s\n' "$mark"
	printf '%s\n' "$mark" >&2
	;;
esac
verb=$1
shift
"verb_$verb" "$@"
exit

# whole
