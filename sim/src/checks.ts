import type { Engine } from './engine.ts';
import type { CoreData } from './device-service.ts';
import { MAX_FCNT_GAP, type Motes } from './motes.ts';
import type { Emission } from './radio.ts';
import type { Trace } from './trace.ts';

/** What must always hold. Each has a name by which a failing run says what is broken. */
export type Invariant =
  | 'stored'
  | 'doubled'
  | 'forged'
  | 'nonce'
  | 'epoch'
  | 'counter'
  | 'reserved'
  | 'deafened'
  | 'money'
  | 'punished'
  | 'unpunished'
  | 'takeover'
  | 'acting'
  | 'overlong'
  | 'keeping'
  | 'converged'
  | 'full'
  | 'flooded'
  | 'escrow'
  | 'crashed';

export interface Violation {
  readonly invariant: Invariant;
  readonly at: number;
  readonly message: string;
}

export interface Judge {
  readonly violations: readonly Violation[];
  broken(invariant: Invariant, message: string): void;
}

export function createJudge(engine: Engine, trace: Trace): Judge {
  const violations: Violation[] = [];
  return {
    violations,
    broken(invariant, message) {
      if (violations.some((one) => one.invariant === invariant)) return;
      violations.push({ invariant, at: engine.now, message });
      trace.note('CHECK', `BROKEN ${invariant}`, () => message);
    },
  };
}

/** Each probe has a nonce of its own: an answer to another one is none to it. */
export function watchProbes(judge: () => Judge | undefined): (by: string, nonce: string) => void {
  const sent = new Set<string>();
  return (by, nonce) => {
    if (sent.has(nonce)) judge()?.broken('nonce', `${by} probes with ${nonce}, which a probe has had before`);
    sent.add(nonce);
  };
}

/** Whether a device can still take what it is sent: it drops what is 16384 or more counters above the last one that it heard. */
export function checkHearing(judge: Judge, { motes }: Motes, { devAddr, fcnt }: Emission): void {
  const mote = motes.find((one) => one.session.devAddr === devAddr);
  if (mote !== undefined && fcnt - mote.lastDown >= MAX_FCNT_GAP)
    judge.broken(
      'deafened',
      `FCntDown ${fcnt} goes to ${devAddr}, which heard ${mote.lastDown} last and hears nothing any more`,
    );
}

/** What is on air: no frame under an epoch once the holder of a higher one may act, no counter twice with other bytes. */
export function watchDownlinks(engine: Engine, judge: Judge) {
  const mayActFrom = new Map<number, { readonly from: number; readonly by: string }>();
  const used = new Map<string, { readonly bytes: string; readonly edge: string }>();
  const mayAct = (epoch: number, from: number, by: string): void => {
    const known = mayActFrom.get(epoch);
    if (known === undefined || from < known.from) mayActFrom.set(epoch, { from, by });
  };
  return {
    mayAct,
    onAir({ edge, epoch, devAddr, fcnt, frame }: Emission): void {
      // whoever is on air acts, whether it may or not
      if (epoch > 0) mayAct(epoch, engine.now, edge);
      for (const [higher, { from, by }] of mayActFrom) {
        // before there was any epoch, an edge's sensors were its own
        const own = epoch === 0 && by === edge;
        if (higher > epoch && from <= engine.now && !own)
          judge.broken(
            'epoch',
            `${edge} is on air under epoch ${epoch}, ${Math.round(engine.now - from)} ms after epoch ${higher} may act`,
          );
      }
      const key = `${devAddr}/${fcnt}`;
      const before = used.get(key);
      if (before === undefined) used.set(key, { bytes: frame.bytes, edge });
      else if (before.bytes !== frame.bytes)
        judge.broken(
          'counter',
          `FCntDown ${fcnt} of ${devAddr}: by ${before.edge}, and with other bytes by ${edge}`,
        );
    },
  };
}

/** What the customer's core-data holds in the end, against what the motes sent. */
export function checkReadings(judge: Judge, motes: Motes, stored: CoreData): void {
  const found = new Map<string, number>();
  for (const { devEui, fcnt, payload } of stored.values()) {
    const key = `${devEui}/${fcnt}/${payload}`;
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  for (const { session, fcnt, frame, covered, sentAt } of motes.sent.values()) {
    const key = `${session.devEui}/${fcnt}/${frame.payload}`;
    const times = found.get(key) ?? 0;
    found.delete(key);
    if (times > 1) judge.broken('doubled', `${key} is stored ${times} times`);
    if (times === 0 && covered)
      judge.broken('stored', `${key}, sent at ${Math.round(sentAt)} ms and acknowledged, is lost`);
  }
  for (const key of found.keys()) judge.broken('forged', `${key} was sent by no mote`);
}
