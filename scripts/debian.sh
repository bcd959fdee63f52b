# Sourced by the scripts that install what some tests need beside Python: install_missing WHO_NEEDS_IT PACKAGE...
install_missing() {
    local who=$1 as_root=()
    shift
    if [ $# = 0 ]; then return; fi
    if [ "$(id -u)" != 0 ]; then as_root=(sudo --non-interactive); fi
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "$who need $*, and can't install it here (no apt-get, or neither root nor sudo without a password)." \
            "Install it, and try again; all other suites run without." >&2
        return 1
    fi
    echo "   Installing $*"
    "${as_root[@]}" apt-get update -qq >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
