import { z } from 'zod';
import type { HttpPeer, Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  isAntirioError,
  signDocument,
  type Clock,
  type EdgeId,
  type Identity,
} from '@antirio/kernel';
import { RING_ROOT_KIND } from '@antirio/ledger-machine';
import {
  holdersOf,
  providerDrillTurn,
  type ContractTerms,
  type Drill,
  type DrillAnswer,
  type DrillLedger,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { isAsCommitted } from './drill-claim.ts';
import type { DrillSide } from './drill-driver.ts';
import type { DrillRooms } from './drill-rooms.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PartyRooms } from './party-rooms.ts';
import { neighbourCall } from './peers.ts';
import {
  openKeys,
  releasedShare,
  type KeptPackage,
  type ReleasedShare,
  type Secrets,
} from './sealed-keys.ts';
import { claimOf } from './wrong-keys.ts';

export const DRILL_PACKAGES = 'drillKeys';
export const drillPackageName = (keyVersion: number): string => `${DRILL_PACKAGES}/${keyVersion}`;

export interface DrillProviderPorts {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: Pick<LedgerClient, 'submit' | 'sealKeyOf'>;
  readonly store: Pick<ContractStore, 'document'>;
  readonly rooms: Pick<PartyRooms, 'ring' | 'ringRoot'>;
  readonly drills: DrillRooms;
}

/** What this process knows of the drill that it is in; a restart begins with taking everything away. */
interface UnderWay {
  readonly number: number;
  readonly begunAt: number;
  readonly shares: Map<EdgeId, z.output<typeof releasedShare>>;
  service: 'none' | 'standby' | 'active';
  standbyAt?: number;
  gatherAt?: number;
  keys?: Secrets;
  keysAt?: number;
  answer?: DrillAnswer;
}

type Share = ReleasedShare & { readonly holder: EdgeId };

/** Somebody may have been in a drill here before this process was. */
const LEFT_BEHIND = -1;
const shareAnswer = z.object({ share: releasedShare });

/** The provider's half: it goes the way of a takeover with the drill's keys, tells what it read, and takes everything away again. */
export function drillProvider(ports: DrillProviderPorts): DrillSide {
  const { terms, identity, clock, log, ledger, drills } = ports;
  const { contractId } = terms;
  let begun = LEFT_BEHIND;
  let now: UnderWay | undefined;

  const begin = (number: number): UnderWay => {
    if (now?.number === number) return now;
    begun = number;
    now = { number, begunAt: clock.monotonic(), shares: new Map(), service: 'none' };
    return now;
  };
  const packageOf = ({ keyVersion }: Drill): KeptPackage => {
    const kept = ports.store.document(contractId, drillPackageName(keyVersion));
    if (kept !== undefined) return kept as KeptPackage;
    throw new AntirioError('notFound', `the customer gave us no drill keys of version ${keyVersion}`);
  };
  const prepare = async (drill: Drill): Promise<void> => {
    const way = begin(drill.number);
    const given = packageOf(drill);
    await drills.putFrames(drill.frames);
    if ((await drills.service(given, undefined)) !== 'standby') return;
    way.service = 'standby';
    way.standbyAt = clock.monotonic();
  };
  /** As before an opening of the real keys: our word on what our ring holds. */
  const open = async ({ number }: Drill): Promise<void> => {
    const { next } = await ports.rooms.ring(terms);
    const through = next - 1;
    const tree = await ports.rooms.ringRoot(contractId, through);
    const signed = signDocument(identity, RING_ROOT_KIND, { contractId, ...tree, through });
    const commitment = { ...signed, kind: RING_ROOT_KIND } as const;
    await ledger.submit({ type: 'drill/open', contractId, drill: number, root: commitment });
  };
  const ask = async (way: UnderWay, holder: EdgeId): Promise<void> => {
    const peer = holder === terms.central ? 'central' : holder;
    const path = `/arbitrator/v1/escrow/${contractId}/drill-release`;
    const call = { method: 'POST' as const, path, json: { drill: way.number } };
    const answer = await neighbourCall(ports.peers, peer, 'arbitrator', call);
    const given = shareAnswer.safeParse(answer);
    if (given.success) way.shares.set(holder, given.data.share);
    else log.debug({ holder, answer }, 'a holder gives no share for the drill');
  };
  const openOrNot = async (given: KeptPackage, shares: readonly Share[]): Promise<Secrets | undefined> => {
    try {
      return await openKeys(identity, given, given.whole ? null : shares);
    } catch (error) {
      if (isAntirioError(error, 'corrupt') || isAntirioError(error, 'invalidInput')) return undefined;
      throw error;
    }
  };
  /** The customer's keys or frames are not what it committed to: the arbitrator looks at all of it. */
  const claim = async (
    { number: drill }: Drill,
    given: KeptPackage,
    shares: readonly Share[],
  ): Promise<void> => {
    const { header } = given;
    if (header === undefined) return;
    const sealKey = await ledger.sealKeyOf(terms.central);
    const shown = claimOf(identity, sealKey, { ...given, header }, shares, undefined);
    const json = { contractId, drill, claim: shown };
    const path = '/arbitrator/v1/central/drill-claim';
    const answer = await neighbourCall(ports.peers, 'central', 'arbitrator', { method: 'POST', path, json });
    log.warn({ drill, answer }, 'the customer’s drill keys or frames are wrong');
  };
  const gather = async (drill: Drill): Promise<void> => {
    const way = begin(drill.number);
    way.gatherAt ??= clock.monotonic();
    const given = packageOf(drill);
    const lacking = holdersOf(terms).filter((holder) => !way.shares.has(holder));
    const asked = await Promise.allSettled(lacking.map((holder) => ask(way, holder)));
    for (const one of asked)
      if (one.status === 'rejected') log.debug({ error: describeError(one.reason) }, 'a holder is silent');
    const enough = given.whole || way.shares.size >= terms.escrow.threshold;
    if (!enough) return;
    const shares = [...way.shares].map(([holder, share]) => ({ holder, ...share }));
    const opened = await openOrNot(given, shares);
    if (opened !== undefined && isAsCommitted(opened, terms, drill)) {
      way.keys = opened;
      way.keysAt = clock.monotonic();
    } else if (opened !== undefined || shares.length >= holdersOf(terms).length)
      await claim(drill, given, shares);
  };
  const read = async (drill: Drill): Promise<void> => {
    const way = begin(drill.number);
    const state = await drills.service(packageOf(drill), way.keys);
    if (state !== 'active') return;
    way.service = 'active';
    // One is forged.
    const answer = await drills.read(drill.frames.length - 1);
    if (answer !== undefined) way.answer = answer;
  };
  const tellAnswer = async ({ number: drill }: Drill): Promise<void> => {
    const way = begin(drill);
    const { answer, begunAt, standbyAt = begunAt, gatherAt = standbyAt, keysAt = gatherAt } = way;
    if (answer === undefined) return;
    const since = (from: number, to: number): number => Math.max(0, Math.round(to - from));
    const times = {
      standbyMs: since(begunAt, standbyAt),
      keysMs: since(gatherAt, keysAt),
      readMs: since(keysAt, clock.monotonic()),
    };
    await ledger.submit({ type: 'drill/read', contractId, drill, answer, times });
  };
  const undo = async (): Promise<boolean> => {
    now = undefined;
    if (begun === 0) return true;
    if (!(await drills.undo())) return false;
    begun = 0;
    return true;
  };
  const doing = { prepare, open, gather, read, answer: tellAnswer } as const;

  return {
    async advance(phase: string, known: DrillLedger) {
      const turn = providerDrillTurn({
        ...{ terms, phase, ledger: known, begun },
        service: now?.service ?? 'none',
        keysOpen: now?.keys !== undefined,
        allRead: now?.answer !== undefined,
      });
      if (turn.turn === 'wait') return false;
      if (turn.turn === 'undo') await undo();
      else await doing[turn.turn](turn.drill);
      return true;
    },
    finish: undo,
  };
}
