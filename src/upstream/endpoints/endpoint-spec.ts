/** One address of an upstream as main hands it to the threads: plain data, fit for postMessage. */
export interface EndpointSpec {
  /** The configured URL, with `#address` when it holds a name. Unique in its upstream and the same after a restart. */
  readonly key: string
  /** `host:port` as configured, or `unix:/path`. Several addresses of one name share it. */
  readonly label: string
  readonly secure: boolean
  /** Name or IP address as configured, for Host and SNI; '' for a unix socket. */
  readonly host: string
  readonly port: number
  readonly unixPath: string | null
  /** IP address to connect to; null for a unix socket. */
  readonly address: string | null
  readonly weight: number
  readonly zone: string | null
  /** Its place in the cells. */
  readonly slot: number
}
