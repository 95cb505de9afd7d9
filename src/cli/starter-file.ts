/** What `init` asks for. */
export interface Answers {
  /** `127.0.0.1:8080`, or a port alone. */
  listen: string
  /** `http://127.0.0.1:3000`, or without `http://`. */
  to: string
  /** `api.example.com/orders/*`, `/orders/*` or a host alone. */
  match: string
}

/** A commented configuration for a first start. The answers are put in quoted, so that they cannot become anything but values. */
export function writeStarter(answers: Answers): string {
  const listen = /^:?\d+$/.test(answers.listen) ? `127.0.0.1:${answers.listen.replace(':', '')}` : answers.listen
  const to = answers.to.includes('://') ? answers.to : `http://${answers.to}`
  const slash = answers.match.indexOf('/')
  const host = slash < 0 ? answers.match : answers.match.slice(0, slash)
  const path = slash < 0 ? '/*' : answers.match.slice(slash)
  return `# Sallyport. Check this file with \`sallyport check\`, run it with \`sallyport run\`, and apply changes with \`sallyport reload\`.
# Every key is explained in docs/reference/configuration.md.

listeners:
  public:
    address: ${quote(listen)}
    # HTTPS instead of HTTP:
    # tls:
    #   certificates:
    #     - { certificate: certs/edge.pem, key: certs/edge-key.pem }
    # Behind a load balancer: whose X-Forwarded-For is believed.
    # trustedProxies: [10.0.0.0/8]

upstreams:
  app:
    endpoints:
      - ${quote(to)}
      # A second one shares the load:
      # - http://127.0.0.1:3001
    # Endpoints that do not answer this well are left out until they do:
    # healthCheck: { path: /healthz, interval: 5s }

routes:
  - name: app
${host === '' ? "    # host: api.example.com            # or '*.example.com'; without it: any\n" : `    host: ${quote(host)}\n`}    path: ${quote(path)}
    # methods: [GET, POST]
    upstream: app

policies:
  headers:
    response:
      remove: [Server, X-Powered-By]

telemetry:
  accessLog: { path: '-' }             # one JSON line per request, on stdout
  # metrics: { address: 127.0.0.1:9464 }
`
}

/** A YAML single-quoted text (YAML 1.2.2 7.3.2); line breaks become spaces, and \`\${\` stays itself. */
const quote = (text: string) => `'${text.replaceAll(/[\r\n]+/g, ' ').replaceAll("'", "''")}'`
