import { parseIpv6 } from './ip-text.ts'

const SCRATCH = new Uint8Array(16)

/** The key under which a client address is counted: IPv4 as it is, IPv6 by its /64, which is what one customer line gets. */
export function clientKey(ip: string): string {
  if (ip.indexOf(':') < 0 || !parseIpv6(ip, SCRATCH)) return ip
  let key = '6'
  for (let i = 0; i < 8; i++) key += String.fromCharCode(SCRATCH[i]!)
  return key
}
