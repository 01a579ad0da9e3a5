import { deflateRawSync } from 'node:zlib';
import { z } from 'zod';
import {
  callJson,
  parseInput,
  repeat,
  sleep,
  type HttpPeer,
  type HttpRim,
  type Log,
  type Ran,
} from '@antirio/host';
import {
  AntirioError,
  describeError,
  fromUtf8,
  isAntirioError,
  openSealed,
  sealTo,
  toBase64,
  utf8,
  type Clock,
  type EdgeId,
  type Identity,
  type SealKey,
} from '@antirio/kernel';
import { parseMacState } from '@antirio/lorawan';
import { isRekeying, type ContractTerms, type Standing } from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import type { PartyDriver } from './party-driver.ts';
import { neighbourCall } from './peers.ts';
import { createPerContract } from './per-contract.ts';

/** How a device listens and sends, as its own edge knew it last. Nothing of it is a key. */
const snapshot = z.strictObject({
  session: z.string().regex(/^[0-9a-f]{16}$/),
  devEui: z.string().regex(/^[0-9a-f]{16}$/),
  state: z.unknown(),
  /** What waits to be sent to it, or what became of that; sealed for who has its AppSKey. */
  queue: z.string().max(8192).optional(),
});
export type Snapshot = z.output<typeof snapshot>;

/** Devices in one message. */
export const AT_ONCE = 200;
export const snapshots = z.strictObject({
  snapshots: z.array(snapshot).max(AT_ONCE),
  /** With these the provider has one of every device that has a session. */
  all: z.boolean().optional(),
  /** All that waits to be sent is as it was told, up to now. */
  queues: z.boolean().optional(),
});
/** Sealed: it shows traffic, which is no concern of whoever carries it. */
export const macBox = z.strictObject({
  to: z.string().max(128),
  ephemeral: z.string().max(64),
  sealed: z.string().max(1 << 20),
});
const sealedSnapshots = z.strictObject({ box: macBox });

export const page = z.looseObject({
  incarnation: z.string(),
  serial: z.int(),
  totalCount: z.int(),
  sessions: z.array(snapshot),
});

const KIND = 'mac';
/** The provider was told of every device that had a session then. */
const TOLD_ALL = 'macToldAll';
/** Wall ms of this host: so long ago what waits to be sent was as it is kept. */
const QUEUES_AT = 'macQueuesAt';
const SENT_EVERY_MS = 10_000;
/** The provider waits for the first ones before it is READY. */
const FIRST_EVERY_MS = 1000;

interface CustomerPorts {
  readonly deviceLora: HttpPeer;
  readonly send: (terms: ContractTerms, told: Told) => Promise<void>;
}

interface Told {
  readonly snapshots: readonly Snapshot[];
  readonly all?: boolean | undefined;
  readonly queues?: boolean | undefined;
}

const withoutQueue = ({ queue: _queue, ...rest }: Snapshot): Snapshot => rest;

/** Tells it with what waits to be sent to the devices; providers of older versions are told nothing of that. */
function createTeller({ send }: Pick<CustomerPorts, 'send'>, terms: ContractTerms) {
  /** Devices for which something waits that the provider was told of. */
  const listed = new Set<string>();
  let takesQueues = terms.confidentiality === 'process';

  const sendKnown = async (told: Told): Promise<void> => {
    const isNew = told.queues === true || told.snapshots.some(({ queue }) => queue !== undefined);
    try {
      await send(terms, told);
    } catch (error) {
      if (!isNew || !isAntirioError(error, 'invalidInput')) throw error;
      takesQueues = false;
      listed.clear();
      const { queues: _queues, snapshots, ...rest } = told;
      await send(terms, { ...rest, snapshots: snapshots.map(withoutQueue) });
    }
  };
  return {
    get query() {
      return takesQueues ? '&queues=true' : '';
    },
    /** `isEnd`: this is all that has changed. `all`: and everything is known now. */
    async tell(some: readonly Snapshot[], { isEnd, all }: { isEnd: boolean; all: boolean }): Promise<void> {
      for (const { devEui, queue } of some)
        if (queue === undefined) listed.delete(devEui);
        else listed.add(devEui);
      const queues = isEnd && listed.size > 0;
      if (some.length === 0 && !all && !queues) return;
      await sendKnown({ snapshots: some, ...(all ? { all } : {}), ...(queues ? { queues } : {}) });
    },
  };
}

/** What has changed since it was sent last, in pieces, at first of all devices; what was not taken is sent again. */
export function createMacSender({ deviceLora, send }: CustomerPorts, terms: ContractTerms) {
  const ofSet = new Set(terms.set.devices.map(({ devEui }) => devEui));
  let sent = { incarnation: '', serial: 0 };
  let hasToldAll = false;
  const teller = createTeller({ send }, terms);
  return async (): Promise<void> => {
    const { incarnation, serial } = sent;
    let next: typeof sent | undefined;
    for (let offset = 0, total = 1; offset < total; offset += AT_ONCE) {
      const path = `/api/v3/lora/mac?incarnation=${incarnation}&since=${serial}&offset=${offset}&limit=${AT_ONCE}${teller.query}`;
      const found = parseInput(page, await callJson(deviceLora, { path }));
      total = found.totalCount;
      next ??= { incarnation: found.incarnation, serial: found.serial };
      // the service was started anew in between: from the beginning, the next time
      if (next.incarnation !== found.incarnation) return;
      const some = found.sessions.filter(({ devEui }) => ofSet.has(devEui.toLowerCase()));
      const isEnd = offset + AT_ONCE >= total;
      await teller.tell(some, { isEnd, all: isEnd && !hasToldAll });
      hasToldAll ||= isEnd;
    }
    if (next !== undefined) sent = next;
  };
}

/** What the provider keeps of it: of each device the newest. @throws AntirioError corrupt, invalidInput */
export function keepSnapshots(
  store: Pick<ContractStore, 'putDocuments'>,
  identity: Identity,
  { contractId, set }: ContractTerms,
  box: z.output<typeof macBox>,
  now: number,
): number {
  const plain = JSON.parse(fromUtf8(openSealed(identity, box))) as unknown;
  const { snapshots: found, all = false, queues = false } = parseInput(snapshots, plain);
  const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
  if (!found.every(({ devEui }) => ofSet.has(devEui)))
    throw new AntirioError('invalidInput', 'these devices are not of the contract');
  const named = found.map(({ session, devEui, state, queue }) => {
    const waiting = queue === undefined ? {} : { queue };
    return [`${KIND}/${devEui}`, { session, state: parseMacState(state), ...waiting }] as const;
  });
  const toldAll = all ? ([[TOLD_ALL, true]] as const) : [];
  const dated = queues ? ([[QUEUES_AT, now]] as const) : [];
  store.putDocuments(contractId, [...named, ...toldAll, ...dated]);
  return named.length;
}

interface Kept {
  readonly session: string;
  readonly state: unknown;
  readonly queue?: string;
}

/** What waits to be sent to the devices, as their own edge said last, and how long ago (ms) that was so; undefined for nothing. */
export function keptQueues(
  store: Pick<ContractStore, 'document' | 'documents'>,
  contractId: string,
  now: number,
): { readonly queues: readonly { session: string; queue: string }[]; readonly ageMs: number } | undefined {
  const at = store.document(contractId, QUEUES_AT);
  const queues = [...store.documents(contractId, KIND).values()].flatMap((one) => {
    const { session, queue } = one as Kept;
    return queue === undefined ? [] : [{ session, queue }];
  });
  return typeof at !== 'number' || queues.length === 0 ? undefined : { queues, ageMs: now - at };
}

/** As the service takes them with its keys; undefined where none are kept. */
export function keptSnapshots(
  store: Pick<ContractStore, 'documents'>,
  contractId: string,
): string | undefined {
  const kept = [...store.documents(contractId, KIND).values()].map((one) => {
    const { session, state } = one as Kept;
    return { session, state };
  });
  return kept.length === 0 ? undefined : toBase64(deflateRawSync(utf8(JSON.stringify(kept))));
}

/** Whether the customer has told how all of its devices listen that had a session. */
export function hasToldAll(store: Pick<ContractStore, 'document'>, contractId: string): boolean {
  return store.document(contractId, TOLD_ALL) === true;
}

/** Of which devices it is known here how they listen; `isAll`: the customer has told of every one that had a session. */
export function snapshotsKept(
  store: Pick<ContractStore, 'document' | 'documents'>,
  { contractId, set }: Pick<ContractTerms, 'contractId' | 'set'>,
): { readonly known: number; readonly lacking: readonly string[]; readonly isAll: boolean } {
  const kept = store.documents(contractId, KIND);
  const lacking = set.devices.map(({ devEui }) => devEui).filter((devEui) => !kept.has(devEui));
  return { known: kept.size, lacking, isAll: hasToldAll(store, contractId) };
}

/** The contract is over: its customer's devices are no concern of ours any more. */
export function forgetSnapshots(
  store: Pick<ContractStore, 'documents' | 'forgetDocument'>,
  contractId: string,
): void {
  for (const devEui of store.documents(contractId, KIND).keys())
    store.forgetDocument(contractId, `${KIND}/${devEui}`);
}

export interface MacSnapshots {
  drive(contract: Standing & Pick<PartyDriver, 'record'>): void;
  /** What has changed is sent now, if that takes no longer than some tenths of a second: our devices go to somebody else. */
  sendNow(contractId: string): Promise<void>;
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

interface Sending {
  /** What has changed, as soon as what is being sent has been. */
  now(): Promise<void>;
  stop(): Promise<void>;
}

/** Phases in which our own service is the one that knows. */
const knows: ReadonlySet<string> = new Set(['arming', 'guarded', 'stated']);

/** A word that gives devices away waits so long for what is known of them. */
const LAST_MS = 300;

/** Sends what our device service knows of its devices' MAC layers to their providers, as it changes. */
export function createMacSnapshots(ports: {
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  readonly sealKeyOf: (edge: EdgeId) => Promise<SealKey>;
}): MacSnapshots {
  const { peers, clock, log, sealKeyOf } = ports;
  const running = createPerContract<Sending>();
  const send: CustomerPorts['send'] = async ({ contractId, provider }, told) => {
    const box = sealTo(await sealKeyOf(provider), utf8(JSON.stringify(told)));
    const path = `/arbitrator/v1/contract/${contractId}/mac`;
    await neighbourCall(peers, provider, 'arbitrator', { method: 'POST', path, json: { box } });
  };
  const start = (contract: Parameters<MacSnapshots['drive']>[0], deviceLora: HttpPeer): Sending => {
    const { terms, role } = contract;
    const sendChanges = createMacSender({ deviceLora, send }, terms);
    const own = log.child({ contract: terms.contractId, role });
    let turn: Promise<void> = Promise.resolve();
    const now = (): Promise<void> => (turn = turn.catch(() => undefined).then(sendChanges));
    let sentAt = -Infinity;
    const repeating = repeat('sending MAC layers', FIRST_EVERY_MS, own, async (): Promise<Ran> => {
      const { at } = contract.phase();
      const isDue = clock.monotonic() - sentAt >= SENT_EVERY_MS;
      if (!isDue || !knows.has(at) || isRekeying(contract.record())) return 'rested';
      // the first time again and again, until it is taken
      if (at !== 'arming') sentAt = clock.monotonic();
      await now();
      sentAt = clock.monotonic();
      return 'worked';
    });
    return { now, stop: () => repeating.stop() };
  };
  return {
    drive(contract) {
      const { contractId, confidentiality, set } = contract.terms;
      const deviceLora = peers['deviceLora'];
      const isSent = contract.role === 'customer' && confidentiality !== 'relay' && set.devices.length > 0;
      if (isSent && deviceLora !== undefined) running.begin(contractId, () => start(contract, deviceLora));
    },
    async sendNow(contractId) {
      const sending = running.all
        .get(contractId)
        ?.now()
        .catch((error: unknown) => {
          log.debug({ contract: contractId, error: describeError(error) }, 'MAC layers could not be sent');
        });
      await Promise.race([sending, sleep(LAST_MS)]);
    },
    leave: (contractId) => running.leave(contractId),
    stop: () => running.stop(),
  };
}

/** Phases in which the customer knows better than we do: who hands its devices over says the last of it when we read already. */
const takes: ReadonlySet<string> = new Set(['preparing', 'ready', 'opening', 'reading', 'stated']);

export function addMacRoute(
  rim: HttpRim,
  ports: {
    readonly identity: Identity;
    readonly store: ContractStore;
    readonly clock: Pick<Clock, 'now'>;
    readonly phaseOf: (contractId: string) => string | undefined;
    /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
    readonly fromCustomer: (
      contractId: string,
      request: { get(name: string): string | undefined },
    ) => StoredContract;
  },
): void {
  const { identity, store, clock, phaseOf, fromCustomer } = ports;
  const params = z.object({ id: z.uuid() });
  const about = { summary: 'how the set’s devices listen and send', params, body: sealedSnapshots };
  rim.route('post', '/arbitrator/v1/contract/:id/mac', about, ({ params: { id }, body, request }) => {
    const { terms } = fromCustomer(id, request);
    if (!takes.has(phaseOf(id) ?? '')) throw new AntirioError('conflict', 'we serve these devices now');
    return { kept: keepSnapshots(store, identity, terms, body.box, clock.now()) };
  });
}
