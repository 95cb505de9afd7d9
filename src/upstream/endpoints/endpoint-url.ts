import { isIPv6 } from 'node:net'

/** An endpoint's address as configured. */
export interface EndpointUrl {
  readonly secure: boolean
  /** Name or IP address without brackets; '' for a unix socket. */
  readonly host: string
  /** 0 for a unix socket. */
  readonly port: number
  /** Path of a unix socket; null for TCP. */
  readonly unixPath: string | null
  /** `host:port`, IPv6 in brackets, or `unix:/path`: what logs and metrics show. */
  readonly label: string
}

/**
 * Reads `http://host:port`, `https://host:port`, `tcp://host:port` or `unix:/path`.
 * Ports default to 80 and 443. Throws a RangeError that says what is wrong; paths, queries and user names are refused.
 */
export function parseEndpointUrl(text: string): EndpointUrl {
  if (text.startsWith('unix:')) return parseUnix(text)
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new RangeError(`"${text}" is not a URL such as http://10.0.0.1:8080`, { cause })
  }
  const defaultPort = DEFAULT_PORTS[url.protocol]
  if (defaultPort === undefined) throw new RangeError(`"${text}" must start with http:, https:, tcp: or unix:`)
  if (url.username !== '' || url.password !== '') throw new RangeError(`"${text}" must not hold a user name`)
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw new RangeError(`"${text}" must end after host and port; use rewrite.path of a route for a path`)
  }
  const host = bare(url.hostname).toLowerCase()
  if (host === '') throw new RangeError(`"${text}" has no host`)
  const port = url.port === '' ? defaultPort : Number(url.port)
  if (port === 0) throw new RangeError(`"${text}" needs a port`)
  const label = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
  return { secure: url.protocol === 'https:', host, port, unixPath: null, label }
}

const DEFAULT_PORTS: Record<string, number> = { 'http:': 80, 'https:': 443, 'tcp:': 0 }

function parseUnix(text: string): EndpointUrl {
  const unixPath = text.slice('unix:'.length)
  if (!unixPath.startsWith('/')) throw new RangeError(`"${text}" needs an absolute path, such as unix:/run/app.sock`)
  return { secure: false, host: '', port: 0, unixPath, label: text }
}

function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host
}
