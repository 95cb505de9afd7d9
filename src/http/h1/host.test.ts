import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHost } from './host.ts'

test('a host is a name, an IPv4 address or a bracketed IPv6 address, with an optional port', () => {
  const good = [
    ...[
      'a',
      'a.test',
      'A.TEST',
      'a-b.c_d',
      '1.2.3.4',
      'xn--mnchen-3ya.de',
      'a.test.',
      'localhost',
      '0',
      `${'a'.repeat(255)}`,
    ],
    ...['a:1', 'a:80', 'a:65535', 'a.:80', 'a:00080', '[::1]', '[::1]:443', '[2001:db8::1]', '[::ffff:1.2.3.4]:1'],
  ]
  const bad = [
    ...[
      '',
      ':',
      ':80',
      '.',
      '.a',
      'a:',
      'a:0',
      'a:65536',
      'a:99999',
      'a:123456',
      'a:8o',
      'a:-1',
      'a:+1',
      'a: 1',
      'a:1:2',
      'a::1',
    ],
    ...[
      'a b',
      ' a',
      'a ',
      'a/b',
      'a?b',
      'a#b',
      'a@b',
      'user@a',
      'a\\b',
      'a,b',
      'a;b',
      'a%2fb',
      'a*',
      '*',
      '"a"',
      "a'b",
      'a<b',
      'a\tb',
    ],
    ...['a\0', 'a\r', 'a\n', 'a\x7f', 'a\x80', 'm\xfcnchen', 'a\u0130', `${'a'.repeat(256)}`],
    ...[
      '::1',
      '[',
      '[]',
      '[::1',
      '::1]',
      '[::1]a',
      '[::1]:',
      '[::1]:0',
      '[::1]::1',
      '[1.2.3.4]',
      '[a]',
      '[::1%eth0]',
      '[fe80::1%25en0]',
    ],
    ...['[::g]', '[v1.a]', '[::1]@a', '[::1] '],
  ]
  for (const text of good) assert.equal(isHost(text), true, JSON.stringify(text))
  for (const text of bad) assert.equal(isHost(text), false, JSON.stringify(text))
  assert.deepEqual([good.length, bad.length], [19, 59])
})
