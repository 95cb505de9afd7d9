import { type ProxyExtras, writeProxyV1, writeProxyV2 } from '../../src/listener/proxy-protocol/write.ts'

/** The two ends that test headers name, unless a test says otherwise. */
export const ENDS = { sourceIp: '203.0.113.9', sourcePort: 4711, destinationIp: '198.51.100.1', destinationPort: 443 }
export const ENDS6 = { sourceIp: '2001:db8::9', sourcePort: 4711, destinationIp: '2001:db8::1', destinationPort: 443 }

export const v1 = (ends: Partial<typeof ENDS> = {}): Buffer => writeProxyV1({ ...ENDS, ...ends })
export const v2 = (ends: Partial<typeof ENDS> = {}, extras: ProxyExtras | null = null): Buffer =>
  writeProxyV2({ ...ENDS, ...ends }, extras)

/** A version 2 header made by hand: command and family bytes, then the block. */
export function rawV2(command: number, family: number, block: Buffer, length = block.length): Buffer {
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex')
  head[12] = command
  head[13] = family
  head.writeUInt16BE(length, 14)
  return Buffer.concat([head, block])
}
