import { signDocument } from '@antirio/kernel';
import { YIELD_KIND, type ContractTerms, type SignedWord, type YieldCause } from '@antirio/service-contract';
import type { EdgeNode, Rooms } from './edge.ts';
import type { Host } from './host.ts';
import { identities } from './identities.ts';
import type { PartyHost } from './party-host.ts';

/** What people do to an edge, and the machine that it runs on. */

/** The customer's signed word that its provider shall take over, dated as the product dates it. */
export function yieldWordOf(
  host: Host,
  party: Pick<PartyHost, 'ledgerTime'>,
  { contractId, set: { setId } }: ContractTerms,
  epoch: number,
  cause: YieldCause,
): SignedWord {
  const body = { contractId, setId, epoch, cause, at: party.ledgerTime() ?? host.clock.wall() };
  return { ...signDocument(identities.A, YIELD_KIND, body), kind: YIELD_KIND } as const;
}

/** The customer is told to give its service away, if it has anything to give. */
export function tellToYield(host: Host, { party }: Rooms, terms: ContractTerms, cause: YieldCause): void {
  const phase = party.phase();
  if (!host.running || phase.at !== 'guarded') return;
  const word = yieldWordOf(host, party, terms, phase.epoch, cause);
  host.arrive(() => {
    party.post({ type: 'yieldAsked', word });
  });
}

export function tellToTakeOver(edge: EdgeNode): void {
  if (!edge.host.running) return;
  edge.host.arrive(() => {
    edge.rooms().party.post({ type: 'takeoverTold', by: 'the provider' });
  });
}

export function tellToReturn(edge: EdgeNode): void {
  if (!edge.host.running) return;
  for (const party of edge.parties()) {
    const phase = party.phase();
    if (phase.at === 'recovering' && 'waits' in phase)
      edge.host.arrive(() => {
        party.post({ type: 'returnTold', forced: false });
      });
  }
}

/** Kept on the disk: a restart changes nothing about it. A process that hangs hears of it as soon as it goes on. */
export function hold(edge: EdgeNode, held: boolean): void {
  edge.disk.held = held;
  if (!edge.host.up) return;
  for (const party of edge.parties())
    edge.host.arrive(() => {
      // as it is when it is heard of: what was said meanwhile may be on the way as well
      party.post({ type: 'held', held: edge.disk.held });
    });
}
