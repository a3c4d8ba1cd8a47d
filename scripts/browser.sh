# Sourced: sets NORIA_BROWSER to a Chromium that starts, installing one when the machine has none.
# Order: $NORIA_BROWSER, an installed Chrome or Chromium, Debian's package as root, Playwright's own download.

_starts() { [ -n "$1" ] && "$1" --version >/dev/null 2>&1; }

_find_browser() {
  local name
  for name in "${NORIA_BROWSER:-}" google-chrome google-chrome-stable chromium chromium-browser \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    [ -n "$name" ] || continue
    name=$(command -v "$name" 2>/dev/null) || continue
    _starts "$name" && { echo "$name"; return 0; }
  done
  return 1
}

_install_debian() {
  [ -r /etc/debian_version ] && ! grep -qi ubuntu /etc/os-release && command -v apt-get >/dev/null || return 1
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=$(command -v sudo) || return 1
  echo "Installing Chromium and Korean fonts for the page tests (Debian packages)" >&2
  $sudo apt-get update -qq >/dev/null &&
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq chromium fonts-noto-cjk >/dev/null 2>&1
}

if ! NORIA_BROWSER=$(_find_browser); then
  if _install_debian; then
    NORIA_BROWSER=$(_find_browser) || NORIA_BROWSER=
  else
    echo "Fetching Playwright's Chromium for the page tests" >&2
    .venv/bin/playwright install --with-deps chromium >&2 || true
    NORIA_BROWSER=$(.venv/bin/python -c "
from playwright.sync_api import sync_playwright
with sync_playwright() as p: print(p.chromium.executable_path)" 2>/dev/null) || NORIA_BROWSER=
  fi
fi
_starts "$NORIA_BROWSER" || { echo "The page tests need Chromium: install it (apt install chromium) or set NORIA_BROWSER to its path." >&2; exit 1; }
export NORIA_BROWSER
