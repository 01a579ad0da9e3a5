import { describeError, signDocument, type Clock, type Identity } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import {
  ACTS_KIND,
  mayGoUnwritten,
  type ContractTerms,
  type CustomerPhase,
  type Datagram,
  type Deed,
  type PartyEvent,
  type ProviderPhase,
} from '@antirio/service-contract';
import type { SetBlocks } from './block-desk.ts';
import type { ContractStore, Note } from './contract-store.ts';

/** A ledger that is not the one seen before gives no lease, nor does one that was not looked at; what the other parties promise needs none. */
export function isBelievable(
  event: PartyEvent,
  { central }: ContractTerms,
  believed: boolean | undefined,
): boolean {
  if (event.type !== 'datagram') return true;
  const { kind } = event.datagram;
  if (kind !== 'leaseGrant' && kind !== 'leaseRefused') return true;
  return event.from === central ? believed === true : believed !== false;
}

/**
 * Our word goes with each request for a promise: whoever gives it can show that it was asked. Signed once for each of the grantor's
 * challenges that it repeats.
 */
export function promiseSigner(identity: Identity): (datagram: Datagram) => Datagram {
  let signed = { about: '', proof: '' };
  return (datagram) => {
    if (datagram.kind !== 'leaseRequest' || datagram.body.heard === undefined) return datagram;
    const { setId, epoch, heard } = datagram.body;
    const about = JSON.stringify([setId, epoch, heard]);
    if (signed.about !== about)
      signed = { about, proof: signDocument(identity, ACTS_KIND, { setId, epoch, heard }).signature };
    return { kind: 'leaseRequest', body: { ...datagram.body, proof: signed.proof } };
  };
}

/** Whether the disk took it. A full one is no reason to end: the event, or one like it, comes again. */
export function kept(
  store: ContractStore,
  contractId: string,
  log: Log,
  phase: CustomerPhase | ProviderPhase | undefined,
  notes: readonly Note[],
): boolean {
  try {
    if (phase === undefined) for (const note of notes) store.note(contractId, note);
    else store.setPhase(contractId, phase, notes);
    return true;
  } catch (error) {
    store.writes.failed();
    log.warn({ phase: phase?.at, error: describeError(error) }, 'the disk took nothing of it');
    return false;
  }
}

type Phase = CustomerPhase | ProviderPhase;

const NOTES_OWED = 64;

/** Sees to it that what a deed says is on the disk before anything follows from it, but for what may go unwritten. */
export function keeperOf(store: ContractStore, contractId: string, log: Log, blocks: SetBlocks) {
  /** What the disk did not take of what went on all the same: its notes, the newest. */
  let owed: readonly Note[] | undefined;
  const keep = (phase: Phase, notes: readonly Note[]): boolean => {
    const isKept = kept(store, contractId, log, phase, [...(owed ?? []), ...notes]);
    if (isKept) owed = undefined;
    return isKept;
  };
  const goesOn = (before: Phase, after: Phase, notes: readonly Note[]): boolean => {
    if (!mayGoUnwritten(before, after)) return false;
    owed = [...(owed ?? []), ...notes].slice(-NOTES_OWED);
    return true;
  };
  return {
    /** Whether what follows from this deed may be done; what keeps nothing has nothing against it. */
    mayFollow(deed: Deed<Phase>, before: Phase, notes: readonly Note[]): boolean {
      if (deed.type === 'persist') return keep(deed.phase, notes) || goesOn(before, deed.phase, notes);
      if (deed.type !== 'keepBlocks') return true;
      try {
        blocks.keep(deed.by, deed.marks);
        return true;
      } catch (error) {
        store.writes.failed();
        log.warn({ error: describeError(error) }, 'the disk took no blocks of counters');
        return false;
      }
    },
    /** Writes the phase that the disk did not take, once it does. */
    catchUp(phase: Phase): void {
      if (owed !== undefined) keep(phase, []);
    },
  };
}

export function noteNow(clock: Clock, { milestone, detail }: Pick<Note, 'milestone' | 'detail'>): Note {
  return { at: clock.now(), monotonic: clock.monotonic(), milestone, detail };
}

/** Work that is begun again while it goes on is left to the one that is under way. */
export function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let isUnderWay = false;
  return async (work) => {
    if (isUnderWay) return;
    isUnderWay = true;
    try {
      await work();
    } finally {
      isUnderWay = false;
    }
  };
}

/** Begins the work at the first call in a phase; every call in it waits for that. */
export function oncePerPhase(
  phaseNow: () => unknown,
  work: () => Promise<void> | undefined,
): () => Promise<void> {
  let begun: { readonly phase: unknown; readonly done: Promise<void> | undefined } | undefined;
  return async () => {
    const phase = phaseNow();
    if (begun === undefined || begun.phase !== phase) begun = { phase, done: work() };
    await begun.done;
  };
}
