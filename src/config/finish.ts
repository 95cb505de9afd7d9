import { resolve } from 'node:path'
import type { Output } from '../schema/kit.ts'
import type { Config, RouteConfig, rootSchema } from './root.schema.ts'

/** Makes a checked file a Config: fills in the names of routes and makes paths absolute. */
export function finish(config: Output<typeof rootSchema>, directory: string): Config {
  for (const listener of Object.values(config.listeners)) {
    if ('path' in listener.address) listener.address.path = resolve(directory, listener.address.path)
  }
  const metrics = config.telemetry.metrics?.address
  if (metrics && 'path' in metrics) metrics.path = resolve(directory, metrics.path)
  const log = config.telemetry.accessLog
  if (log !== null && log.path === 'off') config.telemetry.accessLog = null
  else if (log !== null && log.path !== '-') log.path = resolve(directory, log.path)
  const { store } = config.state
  if (store.startsWith('sqlite:') && store !== 'sqlite::memory:') {
    config.state.store = `sqlite:${resolve(directory, store.slice('sqlite:'.length))}`
  }
  return { ...config, routes: nameRoutes(config.routes) }
}

/** A name from the file, else host and path; with methods, then a number, where that is taken. */
function nameRoutes(routes: Output<typeof rootSchema>['routes']): RouteConfig[] {
  const taken = new Set(routes.map((route) => route.name).filter((name) => name !== null))
  return routes.map((route) => {
    const name = route.name ?? freeName(route, taken)
    taken.add(name)
    return { ...route, name }
  })
}

function freeName(route: Output<typeof rootSchema>['routes'][number], taken: ReadonlySet<string>): string {
  const plain = `${route.host ?? ''}${route.path}`
  if (!taken.has(plain)) return plain
  const withMethods = route.methods === null ? plain : `${route.methods.join(',')} ${plain}`
  let name = withMethods
  for (let number = 2; taken.has(name); number++) name = `${withMethods} #${number}`
  return name
}
