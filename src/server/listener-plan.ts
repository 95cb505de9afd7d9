import { CidrSet } from '../base/cidr.ts'
import type { ListenerConfig } from '../config/root.schema.ts'
import type { ConnectionSettings } from '../http/h1/connection-settings.ts'
import type { ListenerSettings } from '../listener/settings.ts'

/** A listener's configuration in the form that accepts connections. */
export function listenerSettings(name: string, listener: ListenerConfig): ListenerSettings {
  const { address, mode, tls, proxyProtocol, trustedProxies, limits, timeouts } = listener
  return {
    name,
    address,
    mode,
    tls,
    proxyProtocol: proxyProtocol === null ? null : new CidrSet(proxyProtocol.from),
    trustedProxies: trustedProxies.length === 0 ? null : new CidrSet(trustedProxies),
    limits,
    timeouts: { handshakeMs: timeouts.handshake },
  }
}

/** What a listener's HTTP connections obey. */
export function connectionSettings(listener: ListenerConfig): ConnectionSettings {
  const { limits, timeouts } = listener
  const { headBytes, headers, urlBytes, bodyBytes } = limits
  return {
    limits: { headBytes, headers, urlBytes, bodyBytes },
    timeouts: { headMs: timeouts.head, bodyMs: timeouts.body, idleMs: timeouts.idle },
    closing: false,
  }
}
