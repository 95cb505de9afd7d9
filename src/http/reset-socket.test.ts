import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { resetSocket } from './reset-socket.ts'

/** A connection as its server sees it, and its client. */
async function pair(): Promise<{ socket: Socket; client: Socket; close: () => void }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  return { socket, client, close: () => server.close() }
}

test('an open connection is reset', async () => {
  const { socket, client, close } = await pair()
  resetSocket(socket)
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNRESET')
  close()
})

test('a connection whose end is under way is closed without an error: a reset would leak its handle', async () => {
  const { socket, client, close } = await pair()
  const errors: Error[] = []
  socket.on('error', (error) => errors.push(error))
  client.resume().on('error', () => {})
  socket.end('last words')
  resetSocket(socket)
  await once(socket, 'close')
  assert.deepEqual(errors, [])
  client.destroy()
  close()
})
