import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument, type Identity } from '@antirio/kernel';
import {
  COMMITMENT_KIND,
  commitTo,
  customerPolicy,
  type HeardFrame,
  type ReceiptBatch,
} from '@antirio/market';
import type { Rooms } from './rooms.ts';
import { CoverageTrial } from './trial.ts';

const ben = openIdentity(generateIdentity());
const eve = openIdentity(generateIdentity());
const matchId = 'ab'.repeat(32);
const devAddr = '0000000a';

interface World {
  now: number;
  readonly air: HeardFrame[];
  readonly batches: ReceiptBatch[];
  signer: Identity;
  /** What is revealed in place of a batch. */
  lie?: (batch: ReceiptBatch) => ReceiptBatch;
}

const frame = (n: number, receivedAt: number): HeardFrame => ({
  devAddr,
  fcnt: n,
  mic: n.toString(16).padStart(8, '0'),
  receivedAt,
});

function answer(
  world: World,
  { say, after = 0, batches: wanted = [] }: { say: string; after?: number; batches?: number[] },
): unknown {
  if (say === 'start') return {};
  const { batches, lie = (batch: ReceiptBatch) => batch, signer } = world;
  if (say === 'reveal') return { batches: wanted.map((n) => lie(batches[n - 1]!)) };
  const documents = batches
    .slice(after)
    .map((batch) => signDocument(signer, COMMITMENT_KIND, commitTo(batch)));
  return { commitments: documents };
}

function trialIn(world: World): CoverageTrial {
  const rooms: Partial<Rooms> = {
    neighbour: (_edge, call) => Promise.resolve(answer(world, call.json as never)),
    ownRingEnd: () => Promise.resolve(0),
    ringOffers: (_ring, after) =>
      Promise.resolve({ frames: world.air.slice(after), next: world.air.length, full: false }),
  };
  const policy = customerPolicy.parse({ minReceipts: 4, minReceiptsPerDevice: 4 });
  const options = { policy, commitWithinMs: 2000, maxTrialMs: 60_000 };
  return new CoverageTrial(rooms as Rooms, ben.edgeId, matchId, [devAddr], options);
}

function world(): World {
  return { now: 10_000, air: [], batches: [], signer: ben };
}

function commit(given: World, frames: readonly HeardFrame[]): void {
  const receipts = frames.map(({ devAddr: addr, fcnt, mic }) => ({ devAddr: addr, fcnt, mic }));
  given.batches.push({ matchId, batch: given.batches.length + 1, salt: '00'.repeat(16), receipts });
}

const heardNow = (given: World, count: number): HeardFrame[] =>
  Array.from({ length: count }, (_, i) => frame(given.air.length + i + 1, given.now));

describe('a coverage trial', () => {
  test('counts what was committed to within two seconds', async () => {
    const given = world();
    const trial = trialIn(given);
    await trial.advance(() => given.now);
    const frames = heardNow(given, 5);
    given.air.push(...frames);
    commit(given, frames);
    given.now += 1000;
    expect((await trial.advance(() => given.now)).verdict).toEqual({ verdict: 'tooFew' });
    given.now += 2000;
    const { verdict, coverage } = await trial.advance(() => given.now);
    expect(verdict).toEqual({ verdict: 'covered', unjudged: [] });
    expect(coverage).toMatchObject({ heard: 5, shared: 5, ratioPermille: 1000 });
  });

  test('does not count what was committed to after that: it may have been told by others', async () => {
    const given = world();
    const trial = trialIn(given);
    await trial.advance(() => given.now);
    const frames = heardNow(given, 5);
    given.air.push(...frames);
    given.now += 2500;
    commit(given, frames);
    const { verdict, coverage } = await trial.advance(() => given.now);
    expect(coverage).toMatchObject({ shared: 0, late: 5 });
    expect(verdict).toMatchObject({ verdict: 'refused' });
  });

  test.each<[string, Partial<World>]>([
    ['a commitment that another edge signed', { signer: eve }],
    [
      'a batch that is not what was committed to',
      { lie: (batch) => ({ ...batch, receipts: [...batch.receipts, batch.receipts[0]!] }) },
    ],
  ])('refuses %s', async (_name, cheat) => {
    const given = Object.assign(world(), cheat);
    const trial = trialIn(given);
    commit(given, heardNow(given, 1));
    await expect(trial.advance(() => given.now)).rejects.toMatchObject({ code: 'forbidden' });
  });
});
