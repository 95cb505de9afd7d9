import { connect } from 'node:net'

/** How long IPv4 may lag behind IPv6 and still be preferred. */
const HEAD_START_MS = 250

/**
 * Finds out over which IP version a service that has both can be reached, by a TCP connection to one address of each.
 * `localhost` is the usual case: it means 127.0.0.1 and ::1, and most services listen on one of them only.
 * IPv4 wins a tie. Null when neither answers in time.
 */
export function chooseFamily(ipv4: string, ipv6: string, port: number, timeoutMs: number): Promise<4 | 6 | null> {
  return new Promise((resolve) => {
    const results: { four: boolean | null; six: boolean | null } = { four: null, six: null }
    let headStart: NodeJS.Timeout | null = null
    const decide = (isLate: boolean): void => {
      if (results.four === true) finish(4)
      else if (results.six === true && (results.four === false || isLate)) finish(6)
      else if (results.four === false && results.six === false) finish(null)
      else if (results.six === true) headStart ??= setTimeout(decide, HEAD_START_MS, true)
    }
    const endFour = tryConnect(ipv4, port, timeoutMs, (ok) => {
      results.four = ok
      decide(false)
    })
    const endSix = tryConnect(ipv6, port, timeoutMs, (ok) => {
      results.six = ok
      decide(false)
    })
    function finish(family: 4 | 6 | null): void {
      if (headStart !== null) clearTimeout(headStart)
      endFour()
      endSix()
      resolve(family)
    }
  })
}

/** Connects and closes; tells the result once. Returns a function that gives up. */
function tryConnect(address: string, port: number, timeoutMs: number, onResult: (ok: boolean) => void): () => void {
  const socket = connect({ host: address, port })
  let isOver = false
  const finish = (ok: boolean): void => {
    if (isOver) return
    isOver = true
    socket.destroy()
    onResult(ok)
  }
  socket.setTimeout(timeoutMs, () => finish(false))
  socket.on('error', () => finish(false))
  socket.on('connect', () => finish(true))
  return () => {
    isOver = true
    socket.destroy()
  }
}
