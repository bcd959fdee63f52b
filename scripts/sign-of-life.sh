# Sourced by scripts whose installers are silent for up to a minute: prints a line every five seconds until they end.
# The output of `sleep` is closed, so that nobody who reads the script's output waits for the last one.
while sleep 5 >/dev/null 2>&1; do echo "   … still installing, after $SECONDS s"; done &
sign_of_life=$!
trap 'kill $sign_of_life 2>/dev/null || true' EXIT
