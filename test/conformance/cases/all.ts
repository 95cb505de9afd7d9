import type { RequestCase } from '../harness/request-case.ts'
import { chunkedCases } from './chunked.ts'
import { connectionCases } from './connection.ts'
import { contentLengthCases } from './content-length.ts'
import { fieldCases } from './fields.ts'
import { hopByHopCases } from './hop-by-hop.ts'
import { hostCases } from './host.ts'
import { identityCases } from './identity.ts'
import { limitCases } from './limits.ts'
import { pathCases } from './paths.ts'
import { requestLineCases } from './request-line.ts'
import { transferEncodingCases } from './transfer-encoding.ts'

/** Every request case by its group. */
export const requestGroups: Readonly<Record<string, readonly RequestCase[]>> = {
  'Transfer-Encoding': transferEncodingCases,
  'Content-Length': contentLengthCases,
  'the chunked coding': chunkedCases,
  'the request line': requestLineCases,
  Host: hostCases,
  'field lines': fieldCases,
  'hop-by-hop fields': hopByHopCases,
  'client identity': identityCases,
  paths: pathCases,
  'connections and smuggling': connectionCases,
  limits: limitCases,
}
