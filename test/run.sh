#!/bin/sh
# `npm test`: sets up what the tests need, then runs every test with node:test. Exit status 0 only if all passed.
#
#   npm test                            everything
#   npm test -- test/parity.test.ts     only these files
#   SALLYPORT_TEST_WITHOUT=nginx,haproxy npm test     without these tools; what was left out is said at the end
set -eu
cd "$(dirname "$0")/.."

node=$PWD/node_modules/.bin/node
case "$("$node" --version 2>/dev/null || true)" in
  v26.*) ;;
  '')
    echo 'test: node_modules/.bin/node does not run. Run `npm ci` first; it brings Node 26.' >&2
    echo 'test: (with `ignore-scripts` set, npm does not fetch it: npm ci --ignore-scripts=false)' >&2
    exit 1 ;;
  *)
    echo "test: node_modules/.bin/node is $("$node" --version), the tests need Node 26. Run \`npm ci\`." >&2
    exit 1 ;;
esac

. test/setup/tools.sh
set_up_tools

# Many tests hold thousands of sockets; the soft limit is often 1024.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true

if [ $# -eq 0 ]; then
  roots='src test'
  if [ -d packages ]; then roots="$roots packages"; fi
  set -- $(find $roots -name node_modules -prune -o -name '*.test.ts' -print | LC_ALL=C sort)
fi

# Two files at a time: the tests talk to servers of their own, and more would starve those on two cores.
report=$(mktemp)
status=0
"$node" --test --test-concurrency=2 --test-timeout=180000 \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$report" "$@" </dev/null || status=$?

if [ "$status" -ne 0 ]; then
  # The spec reporter ends with the failures; the sums are then far above.
  grep -E '^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ' "$report" || true
fi
rm -f "$report"
if [ -n "${SALLYPORT_TEST_WITHOUT:-}" ]; then echo "left out: $SALLYPORT_TEST_WITHOUT"; fi
exit "$status"
