import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { type ByteReader, readFrom, SHARES_BUFFER } from './byte-reader.ts'

class Collector implements ByteReader {
  text = ''
  readonly buffers = new Set<ArrayBufferLike>()
  readonly ended = Promise.withResolvers<void>()
  readonly closed = Promise.withResolvers<Error | null>()

  onBytes(buf: Buffer, start: number, end: number): void {
    this.buffers.add(buf.buffer)
    this.text += buf.toString('latin1', start, end)
  }
  onEnd(): void {
    this.ended.resolve()
  }
  onDrain(): void {}
  onClose(error: Error | null): void {
    this.closed.resolve(error)
  }
}

async function accepted(
  prepare: (socket: Socket) => void | Promise<void>,
): Promise<{ client: Socket; server: Socket }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const incoming = once(listener, 'connection')
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [server] = (await incoming) as [Socket]
  await prepare(server)
  listener.close()
  return { client, server }
}

test('accepted sockets share one read buffer on the Node that the project brings', async () => {
  assert.equal(SHARES_BUFFER, true, 'this Node names its onread properties otherwise: see ADR 8')
  const readers = [new Collector(), new Collector()]
  for (const reader of readers) {
    const { client, server } = await accepted(() => {})
    readFrom(server, reader)
    assert.equal(server.listenerCount('data'), 0)
    client.end('bytes')
    await reader.ended.promise
    server.end()
    await reader.closed.promise
    assert.equal(reader.text, 'bytes')
  }
  assert.equal(readers[0]?.buffers.size, 1)
  assert.deepEqual(readers[0]?.buffers, readers[1]?.buffers)
})

test('bytes that wait in the socket before it is read from come first, and its end is told', async () => {
  const reader = new Collector()
  const { client, server } = await accepted(async (socket) => {
    socket.unshift(Buffer.from('first '))
  })
  readFrom(server, reader)
  client.end('then')
  await reader.ended.promise
  assert.equal(reader.text, 'first then')
  server.destroy()
  await reader.closed.promise
})

test('a socket that was destroyed before it is read from is told as closed', async () => {
  const reader = new Collector()
  const { client, server } = await accepted((socket) => void socket.destroy())
  readFrom(server, reader)
  assert.equal(await reader.closed.promise, null)
  client.destroy()
})

test('a reset reaches the reader as an error at its close', async () => {
  const reader = new Collector()
  const { client, server } = await accepted(() => {})
  readFrom(server, reader)
  client.resetAndDestroy()
  assert.equal(((await reader.closed.promise) as NodeJS.ErrnoException).code, 'ECONNRESET')
})
