import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timed, TimerWheel } from './timer-wheel.ts'

class Probe extends Timed {
  readonly fired: number[] = []
  onDeadline(nowMs: number): void {
    this.fired.push(nowMs)
  }
}

function wheel(): { wheel: TimerWheel; at: (ms: number) => void } {
  let now = 1000
  const made = new TimerWheel(() => now, 10, 16)
  return {
    wheel: made,
    at: (ms) => {
      now = 1000 + ms
      made.advance()
    },
  }
}

test('a deadline fires once, not before it is due and at most a tick late', () => {
  const { wheel: w, at } = wheel()
  const probe = new Probe()
  w.arm(probe, 1035)
  for (let ms = 0; ms <= 100; ms += 5) at(ms)
  assert.deepEqual(probe.fired, [1040])
})

test('a deadline that moves later is kept, one that moves earlier fires earlier', () => {
  const { wheel: w, at } = wheel()
  const later = new Probe()
  const earlier = new Probe()
  w.arm(later, 1020)
  w.arm(later, 1060)
  w.arm(earlier, 1100)
  w.arm(earlier, 1020)
  for (let ms = 0; ms <= 150; ms += 10) at(ms)
  assert.deepEqual(later.fired, [1060])
  assert.deepEqual(earlier.fired, [1020])
})

test('a deadline of many turns of the wheel fires on time', () => {
  const { wheel: w, at } = wheel()
  const probe = new Probe()
  w.arm(probe, 2000)
  for (let ms = 0; ms <= 1200; ms += 10) at(ms)
  assert.deepEqual(probe.fired, [2000])
})

test('a wheel that was not turned for long catches up', () => {
  const { wheel: w, at } = wheel()
  const probes = Array.from({ length: 20 }, () => new Probe())
  for (const [i, probe] of probes.entries()) w.arm(probe, 1000 + i * 37)
  at(100_000)
  assert.equal(probes.filter((probe) => probe.fired.length === 1).length, 20)
})

test('removing and disarming both silence a deadline, also from within a callback', () => {
  const { wheel: w, at } = wheel()
  const removed = new Probe()
  const disarmed = new Probe()
  const victim = new Probe()
  class Remover extends Timed {
    onDeadline(): void {
      w.remove(victim)
    }
  }
  w.arm(removed, 1010)
  w.remove(removed)
  w.arm(disarmed, 1010)
  w.arm(disarmed, Number.POSITIVE_INFINITY)
  w.arm(victim, 1020)
  w.arm(new Remover(), 1020)
  for (let ms = 0; ms <= 50; ms += 10) at(ms)
  assert.deepEqual([removed.fired, disarmed.fired, victim.fired], [[], [], []])
})

test('random arming agrees with a sorted list', () => {
  const { wheel: w, at } = wheel()
  let seed = 7
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed % n
  }
  const probes = Array.from({ length: 200 }, () => new Probe())
  for (let ms = 0; ms < 2000; ms += 10) {
    for (let i = 0; i < 10; i++) w.arm(probes[random(200)] as Probe, 1000 + ms + 1 + random(400))
    at(ms)
    for (const probe of probes) assert.ok(probe.deadline > 1000 + ms, 'nothing overdue stays armed')
  }
})
