import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  MAX_DURATION_MS,
  parseAddress,
  parseDuration,
  parseEndpointUrl,
  parsePercent,
  parseRate,
  parseSize,
} from './units.ts'

const table = <T>(parse: (text: string) => T | undefined, rows: [string, T | undefined][]) => {
  for (const [text, expected] of rows) assert.deepEqual(parse(text), expected, text)
  return rows.length
}

test('durations have a unit and fit a timer', () => {
  const ran = table(parseDuration, [
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['0s', 0],
    ['24d', 2_073_600_000],
    ['25d', undefined],
    [`${MAX_DURATION_MS}ms`, MAX_DURATION_MS],
    [`${MAX_DURATION_MS + 1}ms`, undefined],
    ['30', undefined],
    ['', undefined],
    ['-1s', undefined],
    [' 1s', undefined],
    ['1s\n', undefined],
    ['1 s', undefined],
    ['1e3s', undefined],
    ['1S', undefined],
    ['99999999999999s', undefined],
  ])
  assert.equal(ran, 20)
})

test('sizes are in powers of 1024', () => {
  const ran = table(parseSize, [
    ['512B', 512],
    ['64KiB', 65_536],
    ['10MiB', 10_485_760],
    ['1GiB', 1_073_741_824],
    ['0.5KiB', 512],
    ['0B', 0],
    ['10MB', undefined],
    ['10', undefined],
    ['-1B', undefined],
    ['999999999999999GiB', undefined],
  ])
  assert.equal(ran, 10)
})

test('rates and percentages', () => {
  const ran =
    table(parseRate, [
      ['50/s', { count: 50, perMs: 1000 }],
      ['1000/m', { count: 1000, perMs: 60_000 }],
      ['10/h', { count: 10, perMs: 3_600_000 }],
      ['0/s', { count: 0, perMs: 1000 }],
      ['1.5/s', undefined],
      ['50', undefined],
      ['50/w', undefined],
    ]) +
    table(parsePercent, [
      ['50%', 0.5],
      ['0%', 0],
      ['100%', 1],
      ['12.5%', 0.125],
      ['101%', undefined],
      ['50', undefined],
      ['-1%', undefined],
    ])
  assert.equal(ran, 14)
})

test('addresses name a host and a port, or a socket', () => {
  const ran = table(parseAddress, [
    ['0.0.0.0:8443', { host: '0.0.0.0', port: 8443 }],
    ['[::]:8443', { host: '::', port: 8443 }],
    ['[2001:DB8::1]:1', { host: '2001:db8::1', port: 1 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['unix:/run/edge.sock', { path: '/run/edge.sock' }],
    ['unix:', undefined],
    [`unix:/${'a'.repeat(200)}`, undefined],
    ['0.0.0.0', undefined],
    [':8080', undefined],
    ['8080', undefined],
    ['::1:8080', undefined],
    ['[::g]:1', undefined],
    ['[::1%eth0]:1', undefined],
    ['1.2.3:80', undefined],
    ['127.0.0.256:80', undefined],
    ['010.0.0.1:80', undefined],
    ['a b:80', undefined],
    ['a:65536', undefined],
    ['http://a:80', undefined],
  ])
  assert.equal(ran, 19)
})

test('endpoint URLs have a host, a port and nothing else', () => {
  const ran = table(parseEndpointUrl, [
    ['http://10.0.1.10:8080', { scheme: 'http', host: '10.0.1.10', port: 8080 }],
    ['http://orders.internal', { scheme: 'http', host: 'orders.internal', port: 80 }],
    ['https://orders.internal/', { scheme: 'https', host: 'orders.internal', port: 443 }],
    ['https://[::1]:8443', { scheme: 'https', host: '::1', port: 8443 }],
    ['tcp://10.0.0.5:8443', { scheme: 'tcp', host: '10.0.0.5', port: 8443 }],
    ['tcp://10.0.0.5', undefined],
    ['http://a:0', undefined],
    ['http://a/b', undefined],
    ['http://a?b', undefined],
    ['http://u:p@a', undefined],
    ['HTTP://a', undefined],
    ['http://', undefined],
    ['a:80', undefined],
    ['http://0x7f000001', { scheme: 'http', host: '0x7f000001', port: 80 }],
  ])
  assert.equal(ran, 14)
})
