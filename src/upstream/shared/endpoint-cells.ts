import { Health, type HealthState, Slot, type UpstreamCells } from './cells.ts'

/** Writes what the prober found; returns true when that is a change. A return from down forgets an ejection and starts slow. */
export function setHealth(cells: UpstreamCells, slot: number, health: HealthState, nowMs: number): boolean {
  const at = cells.slotAt(slot)
  const before = Atomics.load(cells.words, at + Slot.HEALTH)
  if (before === health) return false
  if (before === Health.DOWN && health === Health.UP) {
    Atomics.store(cells.words, at + Slot.HEALTHY_FROM, cells.tick(nowMs))
    Atomics.store(cells.words, at + Slot.EJECTED_UNTIL, 0)
    Atomics.store(cells.words, at + Slot.FAILURES, 0)
  }
  Atomics.store(cells.words, at + Slot.HEALTH, health)
  cells.changed()
  return true
}

/** Health as the prober left it. */
export function healthOf(cells: UpstreamCells, slot: number): HealthState {
  return Atomics.load(cells.words, cells.slotAt(slot) + Slot.HEALTH) as HealthState
}

/** Whether passive ejection keeps requests away from the slot at this tick. */
export function isEjected(cells: UpstreamCells, slot: number, tick: number): boolean {
  return Atomics.load(cells.words, cells.slotAt(slot) + Slot.EJECTED_UNTIL) > tick
}

/** Makes a slot new: unknown health, no failures. `healthyFrom` is a tick for slow start, or 0 for none. */
export function resetSlot(cells: UpstreamCells, slot: number, healthyFrom: number): void {
  const at = cells.slotAt(slot)
  Atomics.store(cells.words, at + Slot.HEALTH, Health.UNKNOWN)
  Atomics.store(cells.words, at + Slot.HEALTHY_FROM, healthyFrom)
  Atomics.store(cells.words, at + Slot.EJECTED_UNTIL, 0)
  Atomics.store(cells.words, at + Slot.EJECTIONS, 0)
  Atomics.store(cells.words, at + Slot.FAILURES, 0)
  cells.changed()
}
