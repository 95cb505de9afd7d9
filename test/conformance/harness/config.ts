/** The edge that the suite runs against: every path to the endpoints at `backendPort` and `rawPort`, `/admin/*` closed. */
export function suiteConfig(backendPort: number, rawPort: number): string {
  return `
listeners:
  public: { address: 127.0.0.1:0 }
  small:
    address: 127.0.0.1:0
    limits: { headBytes: 4KiB, headers: 20, urlBytes: 1KiB, bodyBytes: 1KiB }
    timeouts: { head: 500ms, body: 500ms, idle: 500ms }
  behind: { address: 127.0.0.1:0, trustedProxies: [127.0.0.0/8, 10.0.0.0/8], limits: { bodyBytes: 64MiB } }
upstreams:
  recorder: { endpoints: ['http://127.0.0.1:${backendPort}'] }
  raw: { endpoints: ['http://127.0.0.1:${rawPort}'], timeouts: { response: 2s } }
routes:
  - { path: /admin/*, respond: { status: 403, body: closed } }
  - { path: /raw/*, upstream: raw }
  - { path: /*, upstream: recorder }
telemetry: { accessLog: off }
threads: 1
`
}
