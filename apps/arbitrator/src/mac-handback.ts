import { z } from 'zod';
import { repeat, type Bus, type HttpRim, type Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  sealTo,
  utf8,
  type Clock,
  type EdgeId,
  type Random,
  type SealKey,
} from '@antirio/kernel';
import { parseMacState } from '@antirio/lorawan';
import {
  tenureWords,
  type ContractTerms,
  type ProviderPhase,
  type Standing,
} from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { createGuestQuestions } from './guest-questions.ts';
import { AT_ONCE, keptQueues, page, type Snapshot } from './mac-snapshots.ts';
import { createPerContract } from './per-contract.ts';

const told = page.extend({ requestId: z.string(), hasTaken: z.boolean().optional() });
type Told = z.output<typeof told>;

const KIND = 'macAfter';
const SEALED_OFF = 'macSealedOff';
const ASK_EVERY_MS = 10_000;
const GIVE_EVERY_MS = 1000;
/** Devices of which the downlinks are given at once. */
const GIVEN_AT_ONCE = 50;
/** A guest of an older version takes none. */
const MOST_TRIES = 30;
/** What waited is sent in its customer's place only where that told so at most so long before: it went on acting. */
const QUEUES_OLD_MS = 60_000;
/** A service that is asked for the first time may not know the question. */
const ANSWER_MS = 1000;
/** Of 10,000 devices there are 50 pages: a handback waits so long for all of them. */
const HANDBACK_MS = 2000;
/** Between two pages of a customer's. */
const PAGED_MS = 10_000;

/** A device's MAC layer as our guest left it, under the epoch in which it served. */
const after = z.looseObject({
  epoch: z.int(),
  session: z.string(),
  state: z.unknown(),
  queue: z.string().optional(),
});

/** `isAll`: the service told of all its devices when the fence was shut. */
const sealedOff = z.looseObject({ epoch: z.int(), isAll: z.boolean() });

/** Of a customer that is fetching it. */
interface Given {
  readonly epoch: number;
  readonly all: readonly Snapshot[];
  readonly timer: NodeJS.Timeout;
}

/** Of an epoch, what the guest has not taken yet. */
interface Offer {
  readonly epoch: number;
  left: readonly { session: string; queue: string }[];
  tries: number;
}

type Store = Pick<
  ContractStore,
  'document' | 'documents' | 'putDocument' | 'putDocuments' | 'forgetDocument'
>;

export interface MacHandback {
  drive(contract: Standing): void;
  /**
   * The fence is shut for good under this epoch: what the service knows by now is kept for its customer. Waits a little; where it does
   * not answer, what it said before stands. Never rejects.
   */
  handBack(terms: ContractTerms, epoch: number): Promise<void>;
  /** @throws AntirioError conflict as long as the epoch is not sealed off */
  pageOf(terms: ContractTerms, epoch: number, offset: number): Promise<object>;
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

export interface MacHandbackPorts {
  readonly bus: Bus;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly sealKeyOf: (edge: EdgeId) => Promise<SealKey>;
}

const hasDevices = ({ confidentiality, set }: ContractTerms): boolean =>
  confidentiality !== 'relay' && set.devices.length > 0;

/** As a provider: what our guest makes of its customer's devices is noted while it serves, and given to the customer when it has. */
export function createMacHandback(ports: MacHandbackPorts): MacHandback {
  const { bus, store, clock, random, log, sealKeyOf } = ports;
  const questions = createGuestQuestions({ bus, random, log }, 'mac', told);
  const running = createPerContract();
  const given = new Map<string, Given>();
  const seen = new Map<string, { epoch: number; incarnation: string; serial: number }>();
  const askedAt = new Map<string, number>();
  const offers = new Map<string, Offer>();

  const keep = ({ contractId, set }: ContractTerms, epoch: number, { sessions }: Told): void => {
    const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
    const named = sessions.flatMap(({ session, devEui, state, queue }) => {
      if (!ofSet.has(devEui)) return [];
      try {
        const sent = queue === undefined ? {} : { queue };
        return [[`${KIND}/${devEui}`, { epoch, session, state: parseMacState(state), ...sent }] as const];
      } catch (error) {
        log.warn({ contract: contractId, devEui, error: describeError(error) }, 'a guest tells no MAC state');
        return [];
      }
    });
    if (named.length > 0) store.putDocuments(contractId, named);
  };
  /** What has changed since it was asked last, of all devices; false where the service did not tell all of it. */
  const collect = async (terms: ContractTerms, epoch: number, until: number): Promise<boolean> => {
    const { contractId, set } = terms;
    const last = seen.get(contractId);
    const since = last?.epoch === epoch ? { incarnation: last.incarnation, since: last.serial } : {};
    let first: Told | undefined;
    for (let offset = 0, length = 1; offset < length; offset += AT_ONCE) {
      const withinMs = Math.min(ANSWER_MS, until - clock.monotonic());
      const query = { ...since, offset, limit: AT_ONCE };
      const found = withinMs <= 0 ? undefined : await questions.ask(contractId, query, withinMs);
      first ??= found;
      if (found === undefined || found.incarnation !== first?.incarnation) return false;
      length = Math.min(found.totalCount, set.devices.length);
      keep(terms, epoch, found);
    }
    if (first !== undefined)
      seen.set(contractId, { epoch, incarnation: first.incarnation, serial: first.serial });
    return true;
  };
  /** What waited at its customer's edge is the guest's to send in this epoch, once; what does not get there stays that edge's. */
  const giveQueues = async ({ contractId, set }: ContractTerms, epoch: number): Promise<void> => {
    let offer = offers.get(contractId);
    if (offer?.epoch !== epoch) {
      const kept = keptQueues(store, contractId, clock.now());
      const isFresh = kept !== undefined && kept.ageMs >= 0 && kept.ageMs <= QUEUES_OLD_MS;
      offer = { epoch, left: isFresh ? kept.queues : [], tries: 0 };
      offers.set(contractId, offer);
    }
    while (offer.left.length > 0 && offer.tries < MOST_TRIES) {
      offer.tries += 1;
      const queues = offer.left.slice(0, GIVEN_AT_ONCE);
      const given = { under: tenureWords(set.setId, epoch), queues };
      const answer = await questions.ask(contractId, { limit: 1, given }, ANSWER_MS);
      if (answer?.hasTaken !== true) return;
      offer.left = offer.left.slice(GIVEN_AT_ONCE);
      offer.tries = 0;
    }
  };
  const letGo = (contractId: string): void => {
    clearTimeout(given.get(contractId)?.timer);
    given.delete(contractId);
  };
  /** Read once for all pages, and let go of with the last one, or where the next one is not asked for. */
  const allOf = (contractId: string, epoch: number, offset: number): readonly Snapshot[] => {
    const before = given.get(contractId);
    const all =
      offset > 0 && before?.epoch === epoch
        ? before.all
        : [...store.documents(contractId, KIND)].flatMap(([devEui, value]) => {
            const one = after.safeParse(value).data;
            if (one?.epoch !== epoch) return [];
            const { session, state, queue } = one;
            return [{ devEui, session, state, ...(queue === undefined ? {} : { queue }) }];
          });
    letGo(contractId);
    if (offset + AT_ONCE >= all.length) return all;
    const timer = setTimeout(letGo, PAGED_MS, contractId).unref();
    given.set(contractId, { epoch, all, timer });
    return all;
  };
  return {
    drive(contract) {
      const { terms, role } = contract;
      const { contractId } = terms;
      if (role !== 'provider' || !hasDevices(terms)) return;
      const own = log.child({ contract: contractId, role });
      const look = async (): Promise<void> => {
        // a provider's contract has a provider's phase
        const now = contract.phase() as ProviderPhase;
        if (now.at !== 'active') return;
        await giveQueues(terms, now.epoch);
        const at = clock.monotonic();
        if (at - (askedAt.get(contractId) ?? -Infinity) < ASK_EVERY_MS) return;
        askedAt.set(contractId, at);
        await collect(terms, now.epoch, at + ASK_EVERY_MS);
      };
      running.begin(contractId, () => repeat('asking how devices listen', GIVE_EVERY_MS, own, look));
    },
    async handBack(terms, epoch) {
      const { contractId } = terms;
      const sealed = sealedOff.safeParse(store.document(contractId, SEALED_OFF)).data;
      if (!hasDevices(terms) || (sealed?.epoch ?? 0) >= epoch) return;
      try {
        const isAll = await collect(terms, epoch, clock.monotonic() + HANDBACK_MS);
        if (!isAll)
          log.warn({ contract: contractId, epoch }, 'the service does not tell how its devices listen');
        store.putDocument(contractId, SEALED_OFF, { epoch, isAll });
      } catch (error) {
        log.warn({ contract: contractId, error: describeError(error) }, 'how devices listen is not kept');
      }
    },
    async pageOf({ contractId, customer }, epoch, offset) {
      const sealed = sealedOff.safeParse(store.document(contractId, SEALED_OFF)).data;
      if (sealed === undefined || sealed.epoch < epoch)
        throw new AntirioError('conflict', 'this epoch is not handed back');
      const all = allOf(contractId, epoch, offset);
      const some = { snapshots: all.slice(offset, offset + AT_ONCE) };
      const box = sealTo(await sealKeyOf(customer), utf8(JSON.stringify(some)));
      return { totalCount: all.length, isAll: sealed.isAll && sealed.epoch === epoch, box };
    },
    async leave(contractId) {
      const left = running.leave(contractId);
      seen.delete(contractId);
      offers.delete(contractId);
      askedAt.delete(contractId);
      letGo(contractId);
      await left;
      for (const devEui of store.documents(contractId, KIND).keys())
        store.forgetDocument(contractId, `${KIND}/${devEui}`);
    },
    async stop() {
      await running.stop();
      for (const contractId of [...given.keys()]) letGo(contractId);
      await questions.close();
    },
  };
}

export function addMacHandbackRoute(
  rim: HttpRim,
  handback: Pick<MacHandback, 'pageOf'>,
  /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
  fromCustomer: (contractId: string, request: { get(name: string): string | undefined }) => StoredContract,
): void {
  const params = z.object({ id: z.uuid() });
  const query = z.object({
    epoch: z.coerce.number().int().min(1),
    offset: z.coerce.number().int().min(0).max(10_000).default(0),
  });
  const about = { summary: 'how the set’s devices listen, as our guest left them', params, query };
  rim.route('get', '/arbitrator/v1/contract/:id/mac', about, ({ params: { id }, query: asked, request }) =>
    handback.pageOf(fromCustomer(id, request).terms, asked.epoch, asked.offset),
  );
}
