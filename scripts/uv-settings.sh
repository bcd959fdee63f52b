# Sourced by the scripts that call uv, with $tools set.
# uv doesn't read pip's configuration, and that is where somebody behind a mirror has named it.
export UV_NO_PROGRESS=1
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=${PIP_INDEX_URL:-$("$tools/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX=$index; fi
fi
