import { describeError, isAntirioError, type EdgeId } from '@antirio/kernel';
import { repeat, type Repeating } from '@antirio/host';
import {
  deedsOf,
  followsNewRules,
  keepsOnly,
  owesStatement,
  type ContractRecord,
  type ContractTerms,
  type Datagram,
  type Desired,
  type HeldShare,
  type Observed,
  type PartyEffect,
  type PartyEvent,
  type ProviderPhase,
  type ProviderState,
  type YieldCause,
  type Standing,
} from '@antirio/service-contract';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { BlockDesk, SetBlocks } from './block-desk.ts';
import type { ContractStore } from './contract-store.ts';
import { heardHere, startCoverage } from './coverage.ts';
import { createCustomerSight } from './customer-sight.ts';
import { createDeafness } from './downlink-shares.ts';
import { createFencePuts } from './fence-puts.ts';
import { createNorthForwarding } from './north-forwarding.ts';
import { openedSecrets } from './own-secrets.ts';
import { ownCopies, ringFrames } from './genuine-frames.ts';
import { createGuestHold } from './guest-hold.ts';
import { createKeysTruth } from './keys-truth.ts';
import type { Listening } from './listening.ts';
import {
  isBelievable,
  keeperOf,
  kept,
  noteNow,
  oneAtATime,
  oncePerPhase,
  promiseSigner,
} from './party-deeds.ts';
import { ROLLED_BACK, performCall, type CallDependencies } from './party-calls.ts';
import { createMachine, type MachineHost, type MachineView, type PartyContract } from './party-machine.ts';
import { peerNamed } from './peers.ts';
import type { PartyRooms } from './party-rooms.ts';
import { startRentWatch } from './rent-watch.ts';
import { restated, statementsOf } from './restated.ts';
import { retireCustomer, retireProvider } from './retirement.ts';
import { openKeys, releasedShare, type Secrets } from './sealed-keys.ts';
import { leavesNothing } from './volume-phases.ts';
import { wordOf } from './yield-word.ts';
import type { SourceTurns } from './source-turns.ts';

/** One contract's machine with its clock, its disk and its hands. */
export interface PartyDriver extends Standing {
  post(event: PartyEvent): void;
  desires(): Desired;
  /** What the ledger said last. */
  record(): ContractRecord | undefined;
  readonly activeLeftMs: () => number | undefined;
  readonly seen: MachineView;
  /** Of a provider's: what its customer says of its store and gateways. */
  customerTold(): ProviderState['told'];
  /** Of a customer's: the newest version of its keys that its provider has. */
  keysDelivered(): number | undefined;
  /** Of a customer's: the ledger's time now, where the centre has told it. */
  readonly ledgerTime: () => number | undefined;
  stop(): Promise<void>;
}

export interface DriverDependencies {
  readonly options: ArbitratorOptions;
  readonly ports: ArbitratorPorts;
  readonly store: ContractStore;
  readonly rooms: PartyRooms;
  readonly calls: CallDependencies;
  readonly sources: SourceTurns;
  readonly host: MachineHost & { readonly blocks: SetBlocks; readonly keepFailures: (count: number) => void };
  readonly blocksRefused: BlockDesk['refused'];
  /** Whether this contract has the say in its set's fence. */
  readonly leads: (one: Standing) => boolean;
  /** The contract's terms with those of its devices that its fence is for. */
  readonly fenced: (one: Standing) => ContractTerms;
  /** Whether the ledger is the one that was seen before; undefined until it was looked at. */
  readonly believed: () => boolean | undefined;
  /** Has the work done when no other contract touches the set's fence. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  /** Changes whenever the set's addresses may have. */
  readonly joinsSeen: () => number;
  /** The contract is over and nothing is left to be done: the machine is to be stopped. */
  readonly retired: () => void;
  readonly listening?: Listening;
  /** Keys with the sessions of joins that the provider answered, as far as they are known here. */
  readonly withJoins: (secrets: Secrets) => Secrets;
  /** The customer's own keys, from its files. */
  readonly ownSecrets: () => Secrets;
  /** Of those files as they are now; nothing where they cannot be read. */
  readonly ownKeyVersion: () => Pick<Observed, 'keyVersion' | 'rekeyed'>;
}

const SHUT: Desired['fence'] = { state: 'shut' };
/** Phases in which the customer signs for frames of its provider's ring. */
const guards: ReadonlySet<string> = new Set(['guarded', 'stated']);
/** Phases in which open keys have no business here. */
const forgets: ReadonlySet<string> = new Set(['ready', 'ended']);
/** Phases in which the customer's return waits for what the provider's ring holds. */
const presses: ReadonlySet<string> = new Set(['recovering', 'retaken']);

type Kept = Extract<PartyEffect, { type: 'failures' | 'note' | 'keepBlocks' | 'blocksRefused' }>;

export function runParty(contract: PartyContract, deps: DriverDependencies): PartyDriver {
  const { ports, store, rooms, options } = deps;
  const { terms, role } = contract;
  const { contractId } = terms;
  const log = ports.log.child({ contract: contractId, role });
  const machine = createMachine(contract, ports, deps.host);
  const standing: Standing = { terms, role, phase: machine.phase };
  const ledgerTime = (): number | undefined => machine.ledgerTime?.();
  const asks = promiseSigner(ports.identity);
  const disk = keeperOf(store, contractId, log, deps.host.blocks);
  let keys: Secrets | undefined;
  let stopped = false;

  const post = (event: PartyEvent): void => {
    if (stopped || !isBelievable(event, terms, deps.believed())) return;
    coverage.onEvent(event);
    const before = machine.phase();
    const effects = machine.step(event);
    const after = machine.phase();
    const notes = effects.flatMap((one) => (one.type === 'note' ? [noteNow(ports.clock, one)] : []));
    if (after === before) kept(store, contractId, log, undefined, notes);
    for (const deed of deedsOf(before, after, effects))
      if (!disk.mayFollow(deed, before, notes)) {
        // What is not on the disk has not happened, and nothing follows from it.
        machine.undo();
        if (deed.type === 'keepBlocks') machine.step({ type: 'unkept', by: deed.by });
        return;
      } else if (deed.type !== 'persist') execute(deed);
    fence.apply();
    if (after !== before) observing.poke();
  };

  const fence = createFencePuts({
    ...{ clock: ports.clock, log, inTurn: deps.inTurn, joinsSeen: deps.joinsSeen },
    wanted: () => (deps.listening?.holdsFence() === true ? SHUT : machine.desires().fence),
    put: async (wanted) => {
      if (!stopped && deps.leads(standing)) await rooms.fence(deps.fenced(standing), wanted);
    },
  });

  const run = (what: string, work: () => Promise<void>): void => {
    work().catch((error: unknown) => {
      log.warn({ error: describeError(error) }, `${what} failed, will be tried again`);
    });
  };

  const execute = (effect: PartyEffect): void => {
    switch (effect.type) {
      case 'send':
        run('sending', () => send(effect.to, effect.datagram));
        return;
      case 'call':
        run('calling', () => call(effect));
        return;
      case 'openKeys':
        run('opening the keys', () => open(effect.shares));
        return;
      case 'sealOff':
        run('sealing off', () => oneStatement(() => sealOff(effect.from, effect.epoch)));
        return;
      case 'lastGasp':
        giveWord(effect.cause);
        return;
      case 'giveUp':
        run('giving the service away', () => oneGivingUp(giveUp));
        return;
      case 'state':
        run('stating', () => oneStatement(() => state(effect.from, effect.through, effect.epoch)));
        return;
      case 'grantBlock':
        run('granting a counter block', () => grant(effect));
        return;
      default:
        keep(effect);
    }
  };

  const keep = (effect: Kept): void => {
    if (effect.type === 'note') log.info({ milestone: effect.milestone, ...effect.detail }, 'milestone');
    else if (effect.type === 'blocksRefused') deps.blocksRefused(effect.reason);
    else if (effect.type === 'failures')
      run('counting failures', async () => deps.host.keepFailures(effect.count));
  };

  /** By whichever way our word reaches the provider first: it knows by then how the devices listen. */
  const listeningSent = oncePerPhase(machine.phase, () => deps.listening?.sendNow());
  const send = async (to: EdgeId, datagram: Datagram): Promise<void> => {
    if (datagram.kind === 'takeOver') await listeningSent();
    await ports.bus.publish('antirio/datagram/out', JSON.stringify({ to, ...asks(datagram) }));
  };

  const call = async (effect: Extract<PartyEffect, { type: 'call' }>): Promise<void> => {
    // The provider may act for an address once it has it: by then our own fence knows it.
    if (effect.method === 'keys') await fence.settled();
    if (effect.method === 'yield') await listeningSent();
    const outcome = deps.believed() === false ? ROLLED_BACK : await performCall(deps.calls, effect);
    if (!outcome.ok)
      log.debug({ method: effect.method, code: outcome.code, message: outcome.message }, 'call refused');
    const asked = 'holder' in effect.args ? { holder: effect.args.holder } : {};
    post({ type: 'answer', method: effect.method, ...asked, ...outcome });
  };

  const coverage = startCoverage({ ...deps, ...machine, terms, role, log, send });
  const { clock } = ports;
  const rent = startRentWatch({ ...deps, ...machine, terms, role, log, clock, ledger: deps.calls.ledger });
  const truth = createKeysTruth({
    ...{ terms, store, log, clock: ports.clock, identity: ports.identity, peers: ports.peers },
    ...{ ledger: deps.calls.ledger, given: deps.calls.given, divided: deps.calls.divided },
    ownSecrets: deps.ownSecrets,
  });

  const open = async (shares: readonly HeldShare[] | null): Promise<void> => {
    const released = shares?.map(({ holder, share }) => ({ holder, ...releasedShare.parse(share) })) ?? null;
    const given = deps.calls.given(released?.[0]?.keyVersion);
    if (given === undefined) return;
    try {
      keys = await openKeys(ports.identity, given, released);
    } catch (error) {
      if (!isAntirioError(error, 'corrupt')) throw error;
      log.warn({ error: describeError(error) }, 'the keys do not open');
      post({ type: 'keysRefused' });
      await truth.onRefused(shares);
      return;
    }
    // before the first reading is stored
    await settleForwarding();
    await settleService();
    await truth.onOpened(keys, shares);
  };

  const statementOver = statementsOf({ ports, options }, contract);

  /** The machine asks again while a long statement is being made. */
  const oneStatement = oneAtATime();
  const oneGivingUp = oneAtATime();

  const sealOff = async (from: number, epoch: number): Promise<void> => {
    await deps.inTurn(() => rooms.fence(terms, { state: 'shut' }));
    const counters = await rooms.counters(terms);
    if (keys === undefined) return;
    // a service without keys knows nothing to hand back
    await deps.listening?.handBack(epoch);
    const { next, incarnation } = await rooms.ring(terms);
    const life = followsNewRules(terms) ? { incarnation } : {};
    const through = next - 1;
    const payloads = ringFrames(peerNamed(ports.peers, 'gatewayBridge'), contractId, from, through);
    const about = { from, through, epoch, ...life, ...(await rooms.takeVolumesHome(terms, epoch, keys)) };
    const statement = await statementOver(payloads, deps.withJoins(keys), about);
    post({ type: 'sealedOff', counters, statement });
  };

  const giveWord = (cause: YieldCause): void => {
    const word = wordOf(ports, { ...standing, ledgerTime }, cause);
    if (word !== undefined) post({ type: 'yieldAsked', word });
  };

  const giveUp = async (): Promise<void> => {
    await deps.inTurn(() => rooms.fence(terms, { state: 'shut' }));
    // what was sent up to now is not the provider's to send
    await deps.listening?.sendNow();
    post({ type: 'givenUp', counters: await rooms.counters(terms) });
  };

  const state = async (from: number, through: number, epoch: number): Promise<void> => {
    if (role === 'provider') {
      const own = { ...deps.calls, ports, keys: keys && deps.withJoins(keys) };
      (await restated(own, { contractId, from, through, epoch }, statementOver)).forEach(post);
      return;
    }
    const payloads = ownCopies(peerNamed(ports.peers, 'gatewayBridge'), terms, from, through);
    const secrets = await openedSecrets({ ...deps, ...deps.calls, store }, contractId);
    const about = { from, through, epoch, ...(await rooms.volumesAtHome(terms, epoch)) };
    const statement = await statementOver(payloads, deps.withJoins(secrets), about);
    post({ type: 'stated', counters: await rooms.counters(terms), statement });
  };

  const grant = async (effect: Extract<PartyEffect, { type: 'grantBlock' }>): Promise<void> => {
    const { requestId, devAddr, block, proven } = effect;
    await rooms.grantBlock(terms, devAddr, block);
    const answer = JSON.stringify({ requestId, devAddr, ...block, proven });
    const prefix = role === 'provider' ? `contract/${contractId}/` : '';
    await ports.bus.publish(`${prefix}antirio/fcntdown/grant`, answer, { qos: 1 });
  };

  /** Keys that are not needed now, or that newer ones have followed, have no business here. */
  const forgetKeys = (newest: number): void => {
    if (forgets.has(machine.phase().at) || keys?.keyVersion !== newest) keys = undefined;
  };

  const settleService = async (): Promise<void> => {
    const given = deps.calls.given();
    if (role !== 'provider' || given === undefined) return;
    const desired = machine.desires().service;
    if (desired !== 'active') forgetKeys(given.keyVersion);
    const wanted = desired === 'active' && keys === undefined ? 'standby' : desired;
    const secrets = wanted === 'active' ? keys : undefined;
    let observed = await rooms.service(terms, given, wanted, secrets, leavesNothing(machine.phase()));
    // Open keys live in this process's memory only: where they are missing, the machine asks for the share again.
    if (desired === 'active' && keys === undefined) observed = 'needsSecrets';
    const awaitsListening = deps.listening?.isAwaited(machine.phase().at, observed);
    const { keyVersion } = given;
    post({ type: 'observed', observed: { service: observed, keysHeld: true, keyVersion, awaitsListening } });
  };

  const retirement = (role === 'provider' ? retireProvider : retireCustomer)({
    ...{ terms, store, rooms, sources: deps.sources, clock: ports.clock, peers: ports.peers },
    leads: () => deps.leads(standing),
    inTurn: deps.inTurn,
    options,
  });

  const observeEnded = async (): Promise<void> => {
    keys = undefined;
    machine.step({ type: 'observed', observed: { storeOk: store.writes.ok() } });
    await settleForwarding();
    if (!(await retirement.advance())) return;
    await north.end();
    deps.retired();
  };

  const guestHold = createGuestHold(terms, ports);
  const north = createNorthForwarding(terms, {
    ...{ coreData: ports.peers['coreData'], clock: ports.clock },
    onCut(cut) {
      log.error(
        { ...cut },
        'ALARM: readings were not forwarded to the customer’s cloud when their contract ended',
      );
      store.note(contractId, noteNow(ports.clock, { milestone: 'notForwarded', detail: { ...cut } }));
    },
  });
  /** What becomes of readings elsewhere holds nothing up here. */
  const settleForwarding = async (): Promise<void> => {
    if (contract.role === 'provider')
      await north.settle(machine.phase() as ProviderPhase, keys).catch((error: unknown) => {
        log.warn({ error: describeError(error) }, 'readings are not forwarded now');
      });
  };

  const areDeaf = createDeafness(store, terms, ports.clock);
  const observeProvider = async (): Promise<void> => {
    await settleForwarding();
    run('holding readings', () => guestHold.settle());
    post({
      type: 'observed',
      observed: { ...(await heardHere(rooms, terms)), storeOk: store.writes.ok(), motesDeaf: areDeaf() },
    });
    await settleService();
    run('claiming', () => truth.press());
  };

  const lookAround = createCustomerSight({ terms, rooms, store, log });
  const observeCustomer = async (): Promise<void> => {
    // who only keeps frames runs nothing
    if (machine.phase().at === 'arming' && !keepsOnly(terms)) await rooms.sendImages(terms);
    const want = presses.has(machine.phase().at) ? 'now' : 'guard';
    const keyVersion = deps.ownKeyVersion();
    const seen = await lookAround(deps.sources.isUp(contractId, want));
    post({ type: 'observed', observed: { ...seen, ...keyVersion } });
    if (guards.has(machine.phase().at)) run('telling which frames are genuine', () => truth.tell());
  };

  const observe = (): Promise<void> => {
    disk.catchUp(machine.phase());
    if (owesStatement(machine.phase(), machine.record()))
      run('holding the ring', () => rooms.hold(role === 'provider' ? contractId : 'own'));
    if (machine.phase().at === 'ended') return observeEnded();
    return role === 'provider' ? observeProvider() : observeCustomer();
  };
  const observing: Repeating = repeat('observe', options.observeIntervalMs, log, observe);
  const ticking = setInterval(() => {
    post({ type: 'tick' });
  }, options.tickIntervalMs);

  return {
    ...standing,
    post,
    desires: machine.desires,
    seen: machine,
    record: machine.record,
    activeLeftMs: machine.activeLeftMs,
    customerTold: () => machine.customerTold?.(),
    keysDelivered: () => machine.keysDelivered?.(),
    ledgerTime,
    async stop() {
      stopped = true;
      deps.sources.leave(contractId);
      clearInterval(ticking);
      await Promise.all([observing.stop(), coverage.stop(), rent.stop()]);
      await fence.settled();
    },
  };
}
