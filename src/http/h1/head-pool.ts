import { RequestHead } from '../message.ts'

const HEADS_KEPT = 1024
const heads: RequestHead[] = []

/** Stands for the head of a connection that has no request under way. */
export const NO_HEAD = new RequestHead()

/** Lends a head for one request: idle connections hold none. */
export function borrowHead(): RequestHead {
  return heads.pop() ?? new RequestHead()
}

/** Takes a head back; nobody may read it afterwards. */
export function returnHead(head: RequestHead): void {
  if (head !== NO_HEAD && heads.length < HEADS_KEPT) heads.push(head)
}
