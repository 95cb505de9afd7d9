/** What the bytes that a client sends on a connection are now. The phases follow each other in this order; only HEAD comes again. */
export const HEAD = 0
export const BODY = 1
/** The request was read; its response is under way. */
export const RESPONDING = 2
export const TUNNEL = 3
/** The last response was sent; what still comes is thrown away, so that a reset does not destroy the response. */
export const LINGERING = 4
export const CLOSED = 5
