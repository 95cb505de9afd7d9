import { BlockList, isIP, isIPv4 } from 'node:net'

/** Turns an IPv4-mapped IPv6 address (`::ffff:10.0.0.1`, RFC 4291 2.5.5.2) into its IPv4 form; others are returned as they are. */
export function unmapIp(ip: string): string {
  if (ip.length > 7 && ip.startsWith('::ffff:') && isIPv4(ip.slice(7))) return ip.slice(7)
  return ip
}

/**
 * A set of IP networks, asked once per connection or per request.
 * Mapped IPv6 addresses are looked up as IPv4. Answers are remembered for up to 4,096 addresses.
 */
export class CidrSet {
  readonly #list = new BlockList()
  readonly #known = new Map<string, boolean>()
  readonly source: readonly string[]

  /** @param networks CIDR blocks or single addresses, v4 or v6. Throws a RangeError that names the first bad one. */
  constructor(networks: readonly string[]) {
    this.source = networks
    for (const text of networks) {
      const { address, prefix, family } = parseCidr(text)
      this.#list.addSubnet(address, prefix, family)
    }
  }

  /** Whether the address lies in one of the networks; false for anything that is not an IP address. */
  contains(ip: string): boolean {
    let answer = this.#known.get(ip)
    if (answer === undefined) {
      const plain = unmapIp(ip)
      const family = isIP(plain)
      answer = family !== 0 && this.#list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
      if (this.#known.size >= 4096) this.#known.clear()
      this.#known.set(ip, answer)
    }
    return answer
  }
}

/** Reads `10.0.0.0/8`, `2001:db8::/32` or a single address. Throws a RangeError that says what is wrong. */
export function parseCidr(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } {
  const slash = text.indexOf('/')
  const address = unmapIp(slash < 0 ? text : text.slice(0, slash))
  const kind = isIP(address)
  if (kind === 0) throw new RangeError(`"${text}" is not an IP address or CIDR block`)
  const width = kind === 4 ? 32 : 128
  const digits = slash < 0 ? String(width) : text.slice(slash + 1)
  const prefix = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(prefix >= 0 && prefix <= width)) throw new RangeError(`"${text}" has a prefix length outside 0 to ${width}`)
  return { address, prefix, family: kind === 4 ? 'ipv4' : 'ipv6' }
}
