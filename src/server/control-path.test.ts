import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { controlPlace, controlSocketPath, isAlive, listControlSockets } from './control-path.ts'

test('the control socket lies beside the SQLite store, whose path is relative to the file', () => {
  const place = controlPlace('/etc/edge/sallyport.yaml', 'sqlite:data/sallyport.db')
  assert.equal(controlSocketPath(place, 77), '/etc/edge/data/sallyport.db.77.sock')
})

test('with a store elsewhere it lies beside the configuration file', () => {
  const place = controlPlace('/etc/edge/sallyport.yaml', 'postgres://db/edge')
  assert.equal(controlSocketPath(place, 77), '/etc/edge/sallyport.yaml.77.sock')
})

test('a path too long for a socket moves to a private folder, the same one for edge and client', () => {
  const file = `/srv/${'a'.repeat(90)}/sallyport.yaml`
  const place = controlPlace(file, 'sqlite:sallyport.db')
  const path = controlSocketPath(place, 4_194_304)
  assert.ok(path.startsWith(join(tmpdir(), 'sallyport-')))
  assert.ok(Buffer.byteLength(path) <= 100, path)
  assert.deepEqual(controlPlace(file, 'sqlite:sallyport.db'), place)
  assert.notEqual(controlPlace(file, 'sqlite:other.db').prefix, place.prefix)
})

test('a missing folder has no sockets', () => {
  assert.deepEqual(listControlSockets({ folder: '/nowhere/at/all', prefix: 'x', private: false }), [])
})

test('process 1 and this process are alive, a free number is not', () => {
  assert.equal(isAlive(process.pid), true)
  assert.equal(isAlive(1), true)
  assert.equal(isAlive(4_194_304), false)
})
