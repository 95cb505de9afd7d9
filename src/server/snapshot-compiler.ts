import type { TimerWheel } from '../base/timer-wheel.ts'
import { compileSnapshot } from '../config/compile.ts'
import { endpointSetSettings, hashBy, proxyHeader, upstreamSettings } from '../config/compile-upstream.ts'
import type { Config } from '../config/root.schema.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { AttemptListener } from '../upstream/http-upstream.ts'
import { UpstreamGroup, type UpstreamPlan } from '../upstream/upstream-group.ts'
import type { EndpointsChange, EndpointTable } from './messages.ts'
import type { SharedMemory } from './shared-memory.ts'
import type { EngineHost } from './thread-engine.ts'

/** A compiled configuration that is not current yet. */
export interface CompiledConfig {
  readonly snapshot: Snapshot
  /** It is current: its upstreams get their addresses, what it replaces closes when it is free. */
  commit(endpoints: EndpointTable): void
  abort(): void
}

/** Compiles configurations for one thread, and keeps by name what outlives a reload. */
export class SnapshotCompiler {
  /** The thread's upstreams. */
  readonly upstreams: UpstreamGroup

  constructor(host: EngineHost, wheel: TimerWheel, onAttempt: AttemptListener) {
    this.upstreams = new UpstreamGroup({
      thread: host.slot,
      threads: host.threads,
      wheel,
      random: Math.random,
      onEjected: (upstream, endpoint, forMs) => host.ejected(upstream, endpoint.label, forMs),
      // Retries are counted with the exchange they belong to, from its attempts.
      onRetry: () => {},
      onAttempt,
    })
  }

  /** Throws an Error whose message is the problem; then nothing changed. */
  compile(generation: number, config: Config, shared: SharedMemory): CompiledConfig {
    const group = this.upstreams
    try {
      const upstreams = group.prepare(upstreamPlans(config, shared))
      const snapshot = compileSnapshot(generation, config, upstreams)
      return {
        snapshot,
        commit(endpoints) {
          group.commit()
          for (const [name, list] of Object.entries(endpoints)) group.setEndpoints(name, list)
        },
        abort: () => group.abort(),
      }
    } catch (error) {
      group.abort()
      throw error
    }
  }

  setEndpoints({ upstream, endpoints }: EndpointsChange): void {
    this.upstreams.setEndpoints(upstream, endpoints)
  }
}

function upstreamPlans(config: Config, shared: SharedMemory): UpstreamPlan[] {
  return Object.entries(config.upstreams).map(([name, upstream]) => {
    const settings = upstreamSettings(name, upstream)
    return {
      settings,
      set: endpointSetSettings(settings, config.zone),
      cells: shared.upstreams[name],
      hashBy: hashBy(upstream),
      proxyHeader: proxyHeader(upstream.proxyProtocol),
    }
  })
}
