import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ListenerConfig } from '../config/root.schema.ts'
import { addressText, listenerUrl } from './listener-url.ts'

type Case = readonly [Partial<ListenerConfig>, number, string]

const TLS = {} as NonNullable<ListenerConfig['tls']>
const CASES: readonly Case[] = [
  [{ address: { host: '127.0.0.1', port: 0 }, mode: 'http', tls: null }, 8080, 'http://127.0.0.1:8080'],
  [{ address: { host: '0.0.0.0', port: 8443 }, mode: 'http', tls: TLS }, 8443, 'https://0.0.0.0:8443'],
  [{ address: { host: '::', port: 9443 }, mode: 'tcp', tls: null }, 9443, 'tcp://[::]:9443'],
  [{ address: { path: '/run/edge.sock' }, mode: 'http', tls: TLS }, 0, 'unix:/run/edge.sock'],
]

test('a listener is printed as the URL that its clients use', () => {
  let ran = 0
  for (const [listener, port, url] of CASES) {
    assert.equal(listenerUrl(listener as ListenerConfig, port), url)
    ran++
  }
  assert.equal(ran, 4)
})

test('an address is printed as the file has it', () => {
  assert.equal(addressText({ host: '::1', port: 0 }), '[::1]:0')
})
