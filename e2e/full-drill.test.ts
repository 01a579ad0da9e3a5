import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import {
  GATEWAYS,
  actAgain,
  agree,
  armed,
  caughtUp,
  killParty,
  serve,
  settle,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { ask, get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { joinedDevices, joinedVerdict, untilJoined } from './support/joined-motes.ts';
import { inSteps } from './support/steps.ts';

const MOTES = 5;
const SERVES_MS = 12_000;
/** So long edge A acts between two drills at least: there is time to see it. */
const RETURN_BACKOFF_MS = 5000;
const termsWith = (full: object) => ({
  ...{ heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000, returnBackoffMs: RETURN_BACKOFF_MS },
  rekey: { waitS: 5 },
  drills: { perMonth: 0, maxMs: 30_000, penalty: 7, full: { servesMs: SERVES_MS, ...full } },
});

interface Shown {
  readonly passed: number;
  readonly failed: number;
  readonly waitsFor?: string;
  readonly newest?: {
    readonly number: number;
    readonly state: string;
    readonly counts: boolean;
    readonly served?: { readonly epoch: number };
    readonly times: Readonly<Record<string, number | undefined>>;
  };
}

/** What can be seen of a contract's full drills, and the way of one of them. */
function drillsOf(cluster: Cluster, run: ContractedRun) {
  const onLedger = async (key: string): Promise<Record<string, unknown>> => {
    const answer = await get(`${run.nodes.central.url('ledger')}/ledger/v1/state/${key}`);
    return (answer as { value: Record<string, unknown> }).value;
  };
  const shown = async (party: 'a' | 'b' = 'a'): Promise<Shown> => {
    const url = `${run.nodes[party].url('arbitrator')}/arbitrator/v1/contract/${run.contractId}`;
    return ((await get(url)) as { fullDrills?: Shown }).fullDrills ?? { passed: 0, failed: 0 };
  };
  type Newest = NonNullable<Shown['newest']>;
  /** A drill from that number on which is in that state; on a slow machine earlier ones pass unseen. */
  const until = (from: number, state: string): Promise<Newest> =>
    cluster.until<Newest>(`full drill ${from} is ${state}`, async () => {
      const found = await shown();
      const { newest } = found;
      const isMeant = newest !== undefined && newest.number >= from && newest.state === state;
      return isMeant ? { found: newest } : { seen: JSON.stringify(found) };
    });
  /** One, from that number on, is served really, by edge B's gateway, and undone. */
  const drilled = async (from: number): Promise<Newest> => {
    const { number } = await until(from, 'serving');
    run.truth.update();
    const before = run.truth.downlinksFrom(GATEWAYS.b);
    await serve(run);
    run.truth.update();
    expect(run.truth.downlinksFrom(GATEWAYS.b)).toBeGreaterThan(before);
    const found = await until(number, 'passed');
    // its end passed unseen: the next one that is seen whole
    if (found.number > number) return drilled(found.number + 1);
    const { times, counts } = found;
    cluster.tell(`full drill ${number}: ${JSON.stringify({ counts, ...times })}`);
    // askedBackMs is there where the ledger heard it before edge B let go: both are asked at once
    const steps = ['openedMs', 'epochMs', 'releasedMs', 'takenBackMs', 'firstReadingMs'];
    for (const name of steps) expect(times).toHaveProperty(name, expect.any(Number));
    await actAgain(run);
    return found;
  };
  return { onLedger, shown, drilled };
}

/** Two edges under a contract with full drills. */
interface Insured {
  readonly cluster: Cluster;
  readonly run: ContractedRun;
  readonly drills: ReturnType<typeof drillsOf>;
}

async function contracted(full: object, motes: object): Promise<Insured> {
  const seed = `e2e/full-drill/${JSON.stringify(full)}`;
  const input = { seed, motes: MOTES, duration: 3, periodMs: 1000, loss: 0, ...motes };
  const cluster = await openCluster(input, termsWith(full), { minFullDrillEveryS: 10 });
  try {
    if ('otaa' in motes) await untilJoined(cluster, MOTES);
    const run = await agree(cluster.run);
    await armed(run);
    return { cluster, run, drills: drillsOf(cluster, run) };
  } catch (error) {
    await cluster.end(false);
    throw new Error(`${String(error)}\n${cluster.story()}`, { cause: error });
  }
}

/** The traffic ends, and what has been told of all of it is right. */
async function nothingLost({ run }: Insured): Promise<Awaited<ReturnType<typeof joinedVerdict>>> {
  await run.radio.stopTraffic();
  await caughtUp(run);
  const found = await joinedVerdict(run);
  expect(found).toMatchObject({ lost: [], doubled: 0, forged: [] });
  return found;
}

/** Two drills that the terms' schedule begins, with motes whose keys are fixed. */
async function twoBySchedule(insured: Insured): Promise<void> {
  const { run, drills } = insured;
  const first = await drills.drilled(1);
  const second = await drills.drilled(first.number + 1);
  expect([first.counts, second.counts]).toEqual([true, true]);
  await nothingLost(insured);
  const contract = await drills.onLedger(`contract/${run.contractId}`);
  expect(contract).toMatchObject({ fullDrills: { failed: 0 } });
  expect(contract).not.toHaveProperty('settlement');
}

describe('a full drill', () => {
  const all: Insured[] = [];
  let cluster: Cluster;
  let run: ContractedRun;
  let drills: ReturnType<typeof drillsOf>;
  let bySchedule: Promise<void>;
  const { step, wentWell } = inSteps(() => all.map((one) => one.cluster.story()).join('\n\n'));
  const open = async (full: object, motes: object): Promise<Insured> => {
    const insured = await contracted(full, motes);
    all.push(insured);
    return insured;
  };
  beforeAll(async () => {
    // Two edges of their own, beside the others: both stories wait far more than they work. The last step sees how it ended.
    bySchedule = open({ everyS: 20 }, {}).then(twoBySchedule);
    bySchedule.catch(() => undefined);
    ({ cluster, run, drills } = await open({}, { otaa: 1 }));
  });
  afterAll(async () => {
    await bySchedule.catch(() => undefined);
    await Promise.all(all.map((one) => one.cluster.end(wentWell())));
  });

  step('that the operator asks for is served by edge B, and comes back, unpaid', async () => {
    const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/operator/${run.contractId}/drill`;
    expect((await ask(url, { method: 'POST', json: { by: 'e2e', full: true } })).status).toBe(202);
    expect(await drills.drilled(1)).toMatchObject({ number: 1, counts: false });
    const contract = await drills.onLedger(`contract/${run.contractId}`);
    expect(contract).toMatchObject({
      fullDrills: { passed: 1, failed: 0 },
      activation: { owed: false, drill: 1 },
    });
    expect(contract).not.toHaveProperty('settlement');
    expect(await drills.shown('b')).toMatchObject({ passed: 1, newest: { state: 'passed' } });
    const { text } = await ask(`${run.nodes.a.url('arbitrator')}/api/v3/metrics`);
    expect(text).toMatch(/antirio_full_drills\{outcome="passed"[^}]*\} 1/);
    expect(text).toMatch(/antirio_full_drill_seconds\{step="epoch"[^}]*\} \d/);
    const why = await get(`${run.nodes.a.url('arbitrator')}/arbitrator/v1/why/${run.devices[0]?.devEui}`);
    expect(why).toMatchObject({ contracts: [{ fullDrills: { passed: 1 } }] });
  });

  const life = async (): Promise<string> =>
    ((await drills.onLedger(`contract/${run.contractId}`)) as { life: { state: string } }).life.state;

  step(
    'has its devices join anew, and the contract is READY once edge B has nothing that it saw',
    async () => {
      await cluster.until('all devices have keys that edge B never saw', async () => {
        const seen = (await joinedDevices(run)).filter(({ disclosed }) => disclosed !== false);
        return seen.length === 0 ? { found: true } : { seen: `${seen.length} have not` };
      });
      expect(await life()).toBe('READY_EXPOSED');
      // edge B is given the newest three sessions of a device: two more joins, and the last one that it saw is gone
      for (const _more of [1, 2]) {
        const before = new Set((await joinedDevices(run)).map(({ devAddr }) => devAddr));
        await run.radio.tool.ask({ cmd: 'rejoin' }, 'rejoin');
        await cluster.until('all have joined anew', async () => {
          const anew = (await joinedDevices(run)).filter(({ devAddr }) => !before.has(devAddr));
          return anew.length === MOTES ? { found: true } : { seen: `${anew.length} have` };
        });
      }
      await cluster.until('the contract is READY again', async () => {
        const state = await life();
        return state === 'READY' ? { found: true } : { seen: state };
      });
    },
  );

  step(
    'leaves a takeover what it was: edge A dies, edge B serves and is paid, every uplink is stored once',
    async () => {
      const at = run.waiter.now();
      const failure = await killParty(run, run.nodes.a);
      run.timelines.failureAt(failure.at);
      cluster.tell(`takeover: ${JSON.stringify(await watchTakeover(run, at).takeoverMs())}`);
      await serve(run);
      await failure.end();
      await settle(run);
      await actAgain(run);
      expect((await nothingLost({ cluster, run, drills })).uplinks).toBeGreaterThan(MOTES * 30);
      expect(await drills.onLedger(`contract/${run.contractId}`)).toMatchObject({
        settlement: { row: 'honoured' },
        activation: { owed: true },
      });
    },
  );

  step(
    'begins by itself where the terms have a schedule, one after the other, with keys that were seen where they accept that',
    () => bySchedule,
  );
});
