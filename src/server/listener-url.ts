import type { ListenerConfig } from '../config/root.schema.ts'

type Address = ListenerConfig['address']

/** An address as the file writes it: `0.0.0.0:8080`, `[::]:8443`, `unix:/run/edge.sock`. */
export function addressText(address: Address): string {
  if ('path' in address) return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}

/**
 * What makes a listener the same over a reload: its address, whatever its name and settings, so that it never closes
 * while they change. Where the system chooses the port, the name tells them apart.
 */
export function listenerKey(name: string, address: Address): string {
  const text = addressText(address)
  return 'port' in address && address.port === 0 ? `${name} ${text}` : text
}

/** Where clients reach a listener: `https://127.0.0.1:8443`, `tcp://…`, `unix:/…`. `port` is the real one where the file says 0. */
export function listenerUrl(listener: ListenerConfig, port: number): string {
  const { address, mode, tls } = listener
  if ('path' in address) return addressText(address)
  const scheme = mode === 'tcp' ? 'tcp' : tls === null ? 'http' : 'https'
  return `${scheme}://${addressText({ host: address.host, port })}`
}
