import { STATUS_CODES as NODE_STATUS_CODES } from 'node:http'

/** Reason phrases by status (RFC 9110 15), with today's names where Node keeps older ones. */
export const STATUS_CODES: Readonly<Record<number, string>> = {
  ...NODE_STATUS_CODES,
  413: 'Content Too Large',
  422: 'Unprocessable Content',
}
