import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { ByteWriter } from './byte-writer.ts'

interface Pair {
  readonly near: Socket
  readonly far: Socket
  /** All that the far end got until FIN. */
  all(): Promise<Buffer>
  close(): void
}

async function pair(): Promise<Pair> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [near] = (await once(server, 'connection')) as [Socket]
  server.close()
  near.on('error', () => {})
  far.on('error', () => {})
  return {
    near,
    far,
    all: async () => {
      const parts: Buffer[] = []
      far.on('data', (part: Buffer) => parts.push(part))
      near.end()
      await once(far, 'end')
      return Buffer.concat(parts)
    },
    close: () => {
      near.destroy()
      far.destroy()
    },
  }
}

function bytes(size: number, seed: number): Buffer {
  const made = Buffer.alloc(size)
  for (let i = 0; i < size; i++) made[i] = (i * 7 + (i >> 8) + seed) & 255
  return made
}

test('text and bytes of every size arrive in order and unchanged, though their buffer is written over at once', async () => {
  const { near, all, close } = await pair()
  const out = new ByteWriter(near)
  const expected: Buffer[] = []
  const sizes = [0, 1, 100, 8191, 8192, 8193, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000]
  let seed = 0
  for (const first of sizes) {
    for (const second of sizes) {
      const text = bytes(first % 20_000, ++seed).latin1Slice()
      out.text(text)
      const buf = bytes(second + 20, ++seed)
      out.bytes(buf, 10, 10 + second)
      expected.push(Buffer.from(text, 'latin1'), Buffer.from(buf.subarray(10, 10 + second)))
      buf.fill(0)
      if (seed % 3 === 0) out.flush()
    }
  }
  out.flush()
  const got = await all()
  assert.ok(got.equals(Buffer.concat(expected)), `${got.length} bytes`)
  assert.equal(seed, 2 * sizes.length ** 2)
  close()
})

test('nothing is sent before it is flushed, a head and a small body leave in one write', async () => {
  const { near, all, close } = await pair()
  let writes = 0
  const write = near.write.bind(near)
  near.write = ((...args: Parameters<typeof write>) => {
    writes++
    return write(...args)
  }) as typeof near.write
  const out = new ByteWriter(near)
  out.text('head ')
  out.bytes(Buffer.from('xbodyx'), 1, 5)
  out.text(' end')
  assert.equal(writes, 0)
  assert.equal(out.flush(), true)
  assert.equal(writes, 1)
  assert.equal(out.flush(), true)
  assert.equal(writes, 1, 'nothing more to send')
  assert.equal((await all()).toString(), 'head body end')
  close()
})

test('flush says false while the socket holds more than it should, and drain follows', async () => {
  const { near, far, close } = await pair()
  far.pause()
  const out = new ByteWriter(near)
  const piece = bytes(64 * 1024, 1)
  let pieces = 0
  while (near.writableLength === 0) {
    out.bytes(piece, 0, piece.length)
    out.flush()
    assert.ok(++pieces < 1000)
  }
  assert.equal(out.flush(), false)
  far.resume()
  await once(near, 'drain')
  assert.equal(out.flush(), true)
  close()
})

test('writing to a socket that is gone does no harm', async () => {
  const { near, far, close } = await pair()
  far.destroy()
  near.destroy()
  const out = new ByteWriter(near)
  out.text('text')
  out.bytes(bytes(100_000, 1), 0, 100_000)
  assert.equal(out.flush(), true)
  await once(near, 'close')
  close()
})
