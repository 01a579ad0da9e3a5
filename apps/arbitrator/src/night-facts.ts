import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import { ringLives } from './ring-lives.ts';
import { isToAct, type ContractFacts, type EdgeFacts, type ForwardingFacts } from './alarm-rules.ts';
import type { Contracts } from './contracts.ts';
import type { CounterGaps } from './counter-gaps.ts';
import type { ContractStore } from './contract-store.ts';
import { areSensorsDeaf } from './downlink-shares.ts';
import type { UnsealedSession } from './live-sessions.ts';
import type { LedgerClient } from './ledger-client.ts';
import { createFrameConflicts } from './frame-conflicts.ts';
import { holdOf } from './operator.ts';
import { volumesNow } from './volume-alarms.ts';
import type { PartyDriver } from './party-driver.ts';
import { sensorsOnPromises } from './promise-metric.ts';

const drops = z.record(z.string(), z.int());
const rings = z.looseObject({
  rings: z.array(z.looseObject({ ringId: z.string(), dropped: drops.optional() })),
  /** Of the rings that providers keep for us, by their names: the contracts'. */
  droppedElsewhere: z.record(z.string(), drops).default({}),
});
const fences = z.looseObject({
  sets: z.array(z.looseObject({ setId: z.string(), collides: z.string().optional() })),
});
const ledgerContract = z.looseObject({
  life: z.looseObject({ state: z.string() }),
  dispute: z.array(z.string()).optional(),
  coverage: z.unknown().optional(),
});

const ledgerKeys = z.looseObject({ exposedAt: z.number().optional() });

const forwardings = z.looseObject({
  forwarding: z.array(
    z.looseObject({ id: z.string(), state: z.string(), refused: z.int(), dropped: z.int() }),
  ),
});

/** How far the contracts' readings have come elsewhere, by core-data. */
async function forwardedByContract(
  coreData: HttpPeer | undefined,
): Promise<ReadonlyMap<string, ForwardingFacts>> {
  if (coreData === undefined) return new Map();
  try {
    const { forwarding } = parseInput(forwardings, await callJson(coreData, { path: '/api/v3/forwarding' }));
    return new Map(
      forwarding.map(({ id, state, refused, dropped }) => [id, { state, lost: refused + dropped }]),
    );
  } catch {
    return new Map();
  }
}

/** Gathers what the alarms' rules look at: from machines, ledger and gateway-bridge. */
export interface NightFacts {
  gather(): Promise<EdgeFacts>;
}

export function nightFacts(ports: {
  readonly clock: Clock;
  readonly contracts: Contracts;
  readonly store: ContractStore;
  readonly counterGaps: Pick<CounterGaps, 'found'>;
  readonly ledger: Pick<LedgerClient, 'read'>;
  readonly bridge: HttpPeer;
  readonly coreData: HttpPeer | undefined;
  readonly orchestrator: HttpPeer | undefined;
  readonly deviceLora: HttpPeer | undefined;
  readonly protects: boolean;
}): NightFacts {
  const { clock, contracts, store, ledger, bridge } = ports;
  const frameConflicts = createFrameConflicts(ports.deviceLora);
  let reachedAt = clock.monotonic();
  const actedAt = new Map<string, number>();
  /** Those that lacked at the last look as well: what is on its way to the provider is no trouble. */
  let lackedBefore: ReadonlySet<string> = new Set();
  let lacking: readonly UnsealedSession[] = [];
  const unsealedFor = (contractId: string): readonly UnsealedSession[] =>
    lacking.filter((one) => one.contractId === contractId);
  const lookForDisclosed = (): void => {
    for (const driver of contracts.drivers.values())
      if (driver.role === 'customer') contracts.disclosures.look(driver.terms, driver.record()?.keys);
  };
  const lookForUnsealed = (): void => {
    const { unsealed } = contracts.sealing();
    const nameOf = ({ contractId, devAddr }: UnsealedSession): string => `${contractId}/${devAddr}`;
    lacking = unsealed.filter((one) => lackedBefore.has(nameOf(one)));
    lackedBefore = new Set(unsealed.map(nameOf));
  };

  const droppedByRing = async (): Promise<ReadonlyMap<string, number>> => {
    try {
      const found = parseInput(rings, await callJson(bridge, { path: '/api/v3/ring' }));
      const sum = (dropped: Readonly<Record<string, number>>): number =>
        Object.values(dropped).reduce((a, b) => a + b, 0);
      return new Map([
        ...Object.entries(found.droppedElsewhere).map(([id, dropped]) => [id, sum(dropped)] as const),
        ...found.rings.map(({ ringId, dropped = {} }) => [ringId, sum(dropped)] as const),
      ]);
    } catch {
      return new Map();
    }
  };
  /** By the set. */
  const colliding = async (): Promise<ReadonlyMap<string, string>> => {
    try {
      const { sets } = parseInput(fences, await callJson(bridge, { path: '/api/v3/fence' }));
      return new Map(
        sets.flatMap(({ setId, collides }) => (collides === undefined ? [] : [[setId, collides]])),
      );
    } catch {
      return new Map();
    }
  };
  const onLedger = async (contractId: string): Promise<ContractFacts['ledger']> => {
    try {
      const found = await ledger.read(`contract/${contractId}`);
      reachedAt = clock.monotonic();
      if (found === undefined) return undefined;
      const { life, dispute, coverage } = parseInput(ledgerContract, found);
      const seen = parseInput(ledgerKeys.default({}), await ledger.read(`keys/${contractId}`));
      const open = {
        disputed: dispute !== undefined,
        differs: dispute?.[0],
        claimable: coverage !== undefined,
      };
      return { state: life.state, exposed: seen.exposedAt !== undefined, ...open };
    } catch {
      return undefined;
    }
  };
  /** For how long a contract has been to act, and could not. */
  const lackedFor = (contractId: string, lacks: boolean): number => {
    const now = clock.monotonic();
    const since = lacks ? (actedAt.get(contractId) ?? now) : now;
    actedAt.set(contractId, since);
    return now - since;
  };
  const factsOf = async (driver: PartyDriver, dropped: number): Promise<ContractFacts> => {
    const { terms, role } = driver;
    const { contractId } = terms;
    const now = clock.monotonic();
    const { fence } = driver.desires();
    const mayAct = fence.state === 'open' && now >= fence.actFrom;
    const phase = driver.phase().at;
    const cannotActForMs = lackedFor(contractId, isToAct(phase) && !mayAct);
    const held = holdOf(store, contractId) !== undefined;
    const providerSilentMs = driver.seen.providerSilentMs?.();
    const activeLeftMs = driver.activeLeftMs();
    const known = {
      terms,
      role,
      phase,
      mayAct,
      cannotActForMs,
      held,
      dropped,
      providerSilentMs,
      unsealed: unsealedFor(contractId),
      activeLeftMs,
      drill: contracts.drills.view(contractId)?.newest,
      fullDrill: contracts.fullDrills.view(contractId)?.newest,
      ringLives: ringLives(store, contractId),
      roomsOut: driver.seen.roomsOut?.(),
      sensorsDeaf: areSensorsDeaf(store, terms),
    };
    return { ...known, ledger: known.phase === 'ended' ? undefined : await onLedger(contractId) };
  };
  return {
    async gather() {
      lookForDisclosed();
      const dropped = await droppedByRing();
      const collisions = await colliding();
      const drivers = [...contracts.drivers.values()];
      lookForUnsealed();
      const forwards = drivers.some(({ terms }) => terms.forwarding !== undefined);
      const forwarded = await forwardedByContract(forwards ? ports.coreData : undefined);
      for (const id of actedAt.keys()) if (!contracts.drivers.has(id)) actedAt.delete(id);
      const facts = await Promise.all(
        drivers.map((one) => factsOf(one, dropped.get(one.terms.contractId) ?? 0)),
      );
      const asked = facts.some(({ phase }) => phase !== 'ended');
      if (!asked) reachedAt = clock.monotonic();
      return {
        contracts: facts.map((one) => ({
          ...one,
          forwarding: forwarded.get(one.terms.contractId),
          collides: collisions.get(one.terms.set.setId),
        })),
        counterGaps: ports.counterGaps.found(),
        frameConflicts: await frameConflicts(),
        volumes: await volumesNow(ports.orchestrator),
        protects: ports.protects,
        dropped: dropped.get('own') ?? 0,
        grantorDownForMs: asked ? clock.monotonic() - reachedAt : undefined,
        sensorsWithoutBlocks: sensorsOnPromises(drivers).waiting,
        now: clock.now(),
      };
    },
  };
}
