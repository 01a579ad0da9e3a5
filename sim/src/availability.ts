import { contractTerms } from '@antirio/service-contract';
import type { StoredEvent } from './device-service.ts';
import type { Engine } from './engine.ts';
import { identities } from './identities.ts';
import { honestPieces } from './pieces.ts';
import { rollDice, type Dice } from './random.ts';
import { runScenario, type RunResult } from './run.ts';
import type { Fault, Harm, NodeName, Scenario } from './scenario.ts';
import type { World } from './world.ts';

/** A long day: motes that send as real ones do, and faults that come by chance, several at once where it so happens. */
export interface AvailabilityOptions {
  readonly seed: number;
  readonly hours: number;
  readonly motes: number;
  /** Whether the provider may read without the centre (`autonomous`). */
  readonly opening: 'witnessed' | 'autonomous';
  /** Whether each gateway pushes what it hears to both edges. */
  readonly pushToBoth?: boolean;
}

export interface Availability {
  readonly covered: number;
  /** Covered uplinks that no edge of the set had stored 5 s after they were on air. */
  readonly late: number;
  readonly latestMs: number;
  /** How many of the covered ones had no more than one fault about them, and how many of these were late. */
  readonly underOneFault: { readonly covered: number; readonly late: number };
  /** The late ones by who heard them and what was the matter. */
  readonly lateWhy: Readonly<Record<string, number>>;
  /** Seconds in which some edge may act, and all of them. */
  readonly actingSeconds: number;
  readonly seconds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly epochs: number;
  readonly run: RunResult;
}

const HOUR_MS = 3_600_000;
const MOTE_EVERY_MS = 60_000;
const READABLE_WITHIN_MS = 5_000;
const SETTLING_MS = 300_000;
/** No replays: what is heard for the first time when somebody sends it again was on air long before. */
const NEVER_MS = 1e12;

type Draw = (dice: Dice) => Harm;

/** Between these two, each order of magnitude as often as another. */
const lasting = (dice: Dice, least: number, most: number): number =>
  least * Math.exp(dice.next() * Math.log(most / least));

const cutOff = (node: NodeName, others: readonly NodeName[], dice: Dice): Harm => ({
  kind: 'cut',
  links: others.flatMap((other) => [[node, other] as const, [other, node] as const]),
  forMs: lasting(dice, 1_000, 600_000),
});

/** What befalls them, and how often on average: once in so many hours. */
const MISHAPS: readonly (readonly [number, Draw])[] = [
  [1, (dice) => ({ kind: 'kill', node: 'A', forMs: lasting(dice, 2_000, 1_200_000) })],
  [2, (dice) => ({ kind: 'freeze', node: 'A', forMs: lasting(dice, 500, 60_000) })],
  [2, (dice) => cutOff('A', ['B', 'central'], dice)],
  [4, (dice) => cutOff('A', [dice.pick(['B', 'central'])], dice)],
  [
    4,
    (dice) => {
      const link = dice.pick<readonly [NodeName, NodeName]>([
        ['A', 'B'],
        ['B', 'A'],
        ['A', 'central'],
        ['central', 'A'],
      ]);
      return { kind: 'cut', links: [link], forMs: lasting(dice, 1_000, 120_000) };
    },
  ],
  [6, (dice) => ({ kind: 'kill', node: 'B', forMs: lasting(dice, 2_000, 120_000) })],
  [8, (dice) => ({ kind: 'freeze', node: 'B', forMs: lasting(dice, 500, 20_000) })],
  [6, (dice) => ({ kind: 'kill', node: 'central', forMs: lasting(dice, 1_000, 60_000) })],
  [
    3,
    (dice) => ({
      kind: 'badLinks',
      loss: dice.between(0.05, 0.5),
      latencyMs: dice.between(20, 300),
      forMs: lasting(dice, 1_000, 120_000),
    }),
  ],
  [
    6,
    (dice) => ({ kind: 'slowDisk', node: dice.pick(['A', 'B']), factor: dice.between(5, 30), forMs: 30_000 }),
  ],
  [8, (dice) => ({ kind: 'planned', forMs: lasting(dice, 10_000, 600_000) })],
  [8, (dice) => ({ kind: 'lastGasp', inMs: dice.between(500, 4_000), forMs: lasting(dice, 5_000, 300_000) })],
];

function drawMishaps(dice: Dice, untilMs: number): Fault[] {
  return MISHAPS.flatMap(([everyHours, draw]) => {
    const faults: Fault[] = [];
    const pause = (): number => -Math.log(1 - dice.next()) * everyHours * HOUR_MS;
    for (let at = 10_000 + pause(); at < untilMs; at += pause()) faults.push({ when: { at }, ...draw(dice) });
    return faults;
  });
}

function drawDay({ seed, hours, motes, opening, pushToBoth = false }: AvailabilityOptions): Scenario {
  const dice = rollDice(seed, 'availability');
  const activeMs = hours * HOUR_MS;
  const slots = { customer: 0, provider: 1 };
  return {
    seed,
    providers: ['B'],
    terms: (devices) =>
      contractTerms.parse({
        ...{ version: 1, contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f', opening, slots },
        customer: identities.A.edgeId,
        provider: identities.B.edgeId,
        central: identities.central.edgeId,
        set: { setId: 'bridge', service: 'device-lora', devices },
        image: { imageName: 'device-lora:1', imageCid: 'bafyimage', configCid: 'bafyconfig' },
        ...{ confidentiality: 'process', standby: 'hot', stakes: { customer: 100, provider: 100 } },
        activation: { takeovers: 10_000 },
        flapping: { maxBackoffMs: 60_000 },
        expiresAt: 2_000_000_000_000,
      }),
    motes: { count: motes, everyMs: MOTE_EVERY_MS, retransmission: 0 },
    rates: { A: dice.between(0.999, 1.001), B: dice.between(0.999, 1.001), central: 1, C: 1 },
    fsyncMs: 5,
    gatewayLoss: { A: 0.1, B: 0.1, C: 0 },
    pushToBoth,
    links: { loss: 0.001, duplication: 0.001, latencyMs: 2, jitterMs: 3, resets: 0 },
    attack: {
      ...{ framesEveryMs: NEVER_MS, datagramsEveryMs: 60_000, heldBack: 0, patient: false },
      kinds: ['beat', 'vigil', 'probe', 'probeReply', 'leaseRequest', 'leaseGrant', 'leaseRefused'],
    },
    ...{ ledgerMs: 5, commandsEveryMs: 60_000, startMs: 700, activateMs: 120, answers: 0.1 },
    rekeying: { waitS: 0, devices: 'never' },
    faults: drawMishaps(dice, activeMs),
    healAt: activeMs,
    silenceAt: activeMs + SETTLING_MS / 2,
    endAt: activeMs + SETTLING_MS,
  };
}

/** Core-data that knows when it had each event first. */
class TimedEvents extends Map<string, StoredEvent> {
  readonly storedAt = new Map<string, number>();
  readonly #engine: Engine;
  constructor(engine: Engine) {
    super();
    this.#engine = engine;
  }
  override set(id: string, event: StoredEvent): this {
    if (!this.storedAt.has(id)) this.storedAt.set(id, this.#engine.now);
    return super.set(id, event);
  }
}

interface Watched {
  readonly world: World;
  readonly stores: readonly TimedEvents[];
  seconds: number;
  actingSeconds: number;
}

function watchWorld(world: World, untilMs: number): Watched {
  const { engine, hosts, A, providers } = world;
  const edges = [A, ...providers.values()];
  const stores = edges.map((edge) => {
    const events = new TimedEvents(engine);
    edge.disk.coreData = events;
    return events;
  });
  const watched: Watched = { world, stores, seconds: 0, actingSeconds: 0 };
  const acts = (): boolean =>
    (hosts.A.running && A.parties().some((party) => party.mayAct())) ||
    (hosts.B.running &&
      (providers
        .get('B')
        ?.parties()
        .some((party) => party.mayAct()) ??
        false));
  const look = (): void => {
    watched.seconds += 1;
    if (acts()) watched.actingSeconds += 1;
    if (engine.now < untilMs) engine.after(1_000, look);
  };
  engine.after(10_000, look);
  return watched;
}

/** A covered uplink: what befell it, and how long it took until some edge had it in core-data. */
interface Delayed {
  readonly delayMs: number;
  /** The edges whose own gateways brought it, such as `A` or `A+B`. */
  readonly heardBy: string;
  /** What was the matter while it should have become readable. */
  readonly faults: readonly string[];
}

function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'cut':
      return `cut ${fault.links.map((pair) => pair.join('>')).join(' ')}`;
    case 'kill':
    case 'freeze':
    case 'slowDisk':
      return `${fault.kind} ${fault.node}`;
    default:
      return fault.kind;
  }
}

/** The faults that were in force at some time between these. */
function inForce(faults: readonly Fault[], from: number, until: number): string[] {
  const during = faults.filter((fault) => {
    if (!('at' in fault.when)) return false;
    const { at } = fault.when;
    return at < until && at + ('forMs' in fault ? fault.forMs : 0) > from;
  });
  return during.map(nameOf);
}

function delaysOf({ world, stores }: Watched, { healAt, faults }: Scenario): Delayed[] {
  const { eventIdOf } = honestPieces();
  const edges = [['A', world.A] as const, ...world.providers];
  const heard = edges.map(([name, { disk }]) => {
    const own = disk.ring.frames.filter(({ radio }) => radio).map(({ frame }) => frame.bytes);
    return [name, new Set(own)] as const;
  });
  const uplinks = [...world.motes.sent.values()].filter((one) => one.covered && one.sentAt < healAt);
  return uplinks.map(({ session, fcnt, frame, sentAt }) => {
    const id = eventIdOf({ devEui: session.devEui, fcnt, payload: frame.payload }, session.fingerprint);
    const by = heard.filter(([, bytes]) => bytes.has(frame.bytes)).map(([name]) => name);
    return {
      delayMs: Math.min(...stores.map((store) => store.storedAt.get(id) ?? Infinity)) - sentAt,
      heardBy: by.join('+'),
      faults: inForce(faults, sentAt, sentAt + READABLE_WITHIN_MS),
    };
  });
}

const isUnderOneFault = ({ faults }: Delayed): boolean => faults.length <= 1;

/** Runs such a day. All checks of a short run hold in it too (`run.violations`). */
export function measureAvailability(options: AvailabilityOptions): Availability {
  const scenario = drawDay(options);
  const worlds: Watched[] = [];
  const run = runScenario(scenario, {
    onWorld: (world) => worlds.push(watchWorld(world, scenario.healAt)),
  });
  const faults: Record<string, number> = {};
  for (const { kind } of scenario.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  const delays = worlds.flatMap((watched) => delaysOf(watched, scenario));
  const late = delays.filter(({ delayMs }) => delayMs > READABLE_WITHIN_MS);
  const lateWhy: Record<string, number> = {};
  for (const one of late) {
    const why = `heard by ${one.heardBy}; ${[...new Set(one.faults)].sort().join(', ') || 'no fault'}`;
    lateWhy[why] = (lateWhy[why] ?? 0) + 1;
  }
  const { seconds = 0, actingSeconds = 0 } = worlds[0] ?? {};
  return {
    covered: delays.length,
    late: late.length,
    latestMs: delays.reduce((most, { delayMs }) => Math.max(most, delayMs), 0),
    underOneFault: {
      covered: delays.filter(isUnderOneFault).length,
      late: late.filter(isUnderOneFault).length,
    },
    lateWhy,
    ...{ seconds, actingSeconds, faults, run },
    epochs: run.summary.epoch,
  };
}
