import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from './processes.ts'

/** A proxy to measure. */
export interface Subject {
  readonly name: string
  readonly command: readonly string[]
  readonly port: number
  readonly tlsPort: number
  /** The file that `sallyport run` was given; null for the others. */
  readonly config: string | null
}

/** What runs behind every proxy. */
export interface Backend {
  readonly command: readonly string[]
  readonly port: number
}

/** All that a bench needs to know of its folder. */
export interface Bench {
  readonly folder: string
  readonly key: string
  readonly certificate: string
  readonly backend: Backend
}

/** Makes a certificate for localhost, starts nothing yet. */
export async function prepare(folder: string): Promise<Bench> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost']
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const out = ['-days', '2', '-keyout', key, '-out', certificate]
  execFileSync('openssl', ['req', '-x509', ...what, ...names, ...out], { stdio: 'ignore' })
  const [port = 0] = await freePorts(1)
  const backend = file('backend.conf', backendConfig(folder, port))
  return { folder, key, certificate, backend: { command: ['nginx', '-c', backend], port } }
}

/** nginx, HAProxy and the edge with one data thread, each with its configuration written into the folder. */
export async function allSubjects(bench: Bench): Promise<Subject[]> {
  const { folder, key, certificate } = bench
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const [a = 0, b = 0, c = 0, d = 0] = await freePorts(4)
  const nginxPorts = { port: a, tlsPort: b }
  const haproxyPorts = { port: c, tlsPort: d }
  const both = file('both.pem', readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'))
  const nginx = file('nginx.conf', nginxConfig(bench, nginxPorts))
  const haproxy = file('haproxy.cfg', haproxyConfig(bench, haproxyPorts, both))
  return [
    { name: 'nginx', command: ['nginx', '-c', nginx], ...nginxPorts, config: null },
    { name: 'HAProxy', command: ['haproxy', '-db', '-f', haproxy], ...haproxyPorts, config: null },
    await sallyport(bench, 1),
  ]
}

interface Ports {
  readonly port: number
  readonly tlsPort: number
}

/** The edge from this checkout, with so many data threads. */
export async function sallyport(bench: Bench, threads: number): Promise<Subject> {
  const { folder, key, certificate, backend } = bench
  const [port = 0, tlsPort = 0] = await freePorts(2)
  const ports = { port, tlsPort }
  const config = join(folder, `sallyport-${threads}.yaml`)
  writeFileSync(
    config,
    `listeners:
  plain: { address: 127.0.0.1:${ports.port} }
  tls:
    address: 127.0.0.1:${ports.tlsPort}
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
upstreams:
  backend: { endpoints: ['http://127.0.0.1:${backend.port}'] }
routes: [{ path: /*, upstream: backend }]
telemetry: { accessLog: { path: ${join(folder, `sallyport-${threads}.jsonl`)} } }
threads: ${threads}
`,
  )
  const program = join(import.meta.dirname, '..', '..', 'bin', 'sallyport')
  return { name: 'Sallyport', command: [program, 'run', '-c', config], ...ports, config }
}

/** 200 bytes of JSON, as cheap as an endpoint can be. */
function backendConfig(folder: string, port: number): string {
  const json = JSON.stringify({ ok: true, name: 'backend', items: [1, 2, 3, 4, 5], pad: 'x'.repeat(139) })
  return `daemon off; worker_processes 1; pid ${folder}/backend.pid; error_log ${folder}/backend-error.log crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { default_type application/json; return 200 '${json}'; }
  }
}
`
}

function nginxConfig({ folder, key, certificate, backend }: Bench, ports: Ports): string {
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log crit;
events { worker_connections 8192; }
http {
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  log_format line escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","scheme":"$scheme",'
    '"host":"$host","path":"$uri","query":"$args","status":$status,"upstream":"$upstream_addr","durationMs":$request_time,'
    '"upstreamMs":"$upstream_response_time","bytesIn":$request_length,"bytesOut":$bytes_sent,"protocol":"$server_protocol"}';
  access_log ${folder}/nginx.jsonl line buffer=64k flush=1s;
  upstream backend { server 127.0.0.1:${backend.port}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${ports.port} backlog=4096;
    listen 127.0.0.1:${ports.tlsPort} ssl backlog=4096;
    ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_session_tickets on;
    location / {
      proxy_pass http://backend; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Request-Id $request_id;
    }
  }
}
`
}

function haproxyConfig({ backend }: Bench, ports: Ports, both: string): string {
  return `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  option http-keep-alive
  http-reuse always
frontend edge
  bind 127.0.0.1:${ports.port} backlog 4096
  bind 127.0.0.1:${ports.tlsPort} ssl crt ${both} alpn http/1.1 backlog 4096
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend backend
backend backend
  server one 127.0.0.1:${backend.port} pool-max-conn 1024
`
}
