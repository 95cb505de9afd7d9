# Sets up what the tests need beyond npm. Sourced by test/run.sh and .ci/run, never run alone.
#
# Sets SALLYPORT_TEST_MISSING to the tools that are neither here nor installable (comma separated): the tests that
# need them then fail. A developer who wants to do without names them in SALLYPORT_TEST_WITHOUT.

# tool and the Debian package that brings it
TOOLS='nginx:nginx-core haproxy:haproxy wrk:wrk h2load:nghttp2-client openssl:openssl curl:curl'

# Servers live in /usr/sbin, which is not on every user's path.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

left_out() {
  case ",${SALLYPORT_TEST_WITHOUT:-}," in *",$1,"*) return 0 ;; *) return 1 ;; esac
}

missing_tools() {
  for pair in $TOOLS; do
    tool=${pair%%:*}
    if ! left_out "$tool" && ! command -v "$tool" >/dev/null 2>&1; then echo "$pair"; fi
  done
}

# apt-get as root, or through sudo when that asks for no password; fails where neither is possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_tools() {
  packages=$(for pair in $1; do echo "${pair##*:}"; done)
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "tools: there is no apt-get here; install these by hand:" $packages >&2
    return 0
  fi
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    echo "tools: neither root nor password-free sudo; run: sudo apt-get install" $packages >&2
    return 0
  fi
  echo "tools: installing" $packages
  # RUNLEVEL=1 keeps the packages from starting their services: the tests start their own copies.
  log=$(mktemp)
  {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
      as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q install -y --no-install-recommends $packages
  } >"$log" 2>&1 </dev/null || { echo "tools: apt-get failed:" >&2; tail -n 5 "$log" >&2; }
  rm -f "$log"
}

set_up_tools() {
  wanted=$(missing_tools)
  if [ -n "$wanted" ]; then install_tools "$wanted"; fi
  SALLYPORT_TEST_MISSING=$(for pair in $(missing_tools); do printf '%s,' "${pair%%:*}"; done)
  SALLYPORT_TEST_MISSING=${SALLYPORT_TEST_MISSING%,}
  export SALLYPORT_TEST_MISSING
  if [ -n "$SALLYPORT_TEST_MISSING" ]; then
    echo "tools: missing: $SALLYPORT_TEST_MISSING. The tests that need them fail;" >&2
    echo "tools: to do without them on purpose, set SALLYPORT_TEST_WITHOUT=$SALLYPORT_TEST_MISSING" >&2
  fi
}
