import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ABOVE_RECORD, BLOCKS_ON_PROMISES } from './block-marks.ts';
import {
  DEVICE,
  bookOf,
  createBlocks,
  customer,
  provider,
  type Blocks,
  type Disk,
} from './blocks.fixture.ts';
import { terms } from './contract.fixture.ts';
import { keepMarks, showMarks, type KeeperFacts } from './mark-keeper.ts';
import { datagramSchemas } from './messages.ts';
import { actUnder } from './party.ts';
import { SKIPPED_UNRECORDED, onPromises } from './reserving.ts';

const standing = ({ acting, own }: Blocks) => onPromises(acting(), customer, bookOf(own));

describe('while the grantor is away', () => {
  test('blocks stand on the promises of the others, sixteen above its record and no more, and are recorded when it is back', () => {
    const blocks = createBlocks();
    const first = blocks.want('grantor') ?? NaN;
    const got = Array.from({ length: BLOCKS_ON_PROMISES + 2 }, () => blocks.want('promises'));
    const all = Array.from({ length: BLOCKS_ON_PROMISES }, (_, i) => first + 4 * (i + 1));
    expect(got).toEqual([...all, undefined, undefined]);
    expect(blocks.others.get(customer)).toMatchObject({ index: first + ABOVE_RECORD, base: first });
    expect(standing(blocks)).toEqual([{ devAddr: DEVICE, blocks: 16, isSpent: true }]);
    blocks.rest('grantor');
    expect(blocks.recorded).toBeGreaterThan(first + ABOVE_RECORD);
    expect(standing(blocks)).toEqual([]);
    expect(blocks.want('promises')).toBe((blocks.recorded ?? NaN) + 4);
  });

  test('no block is used that a party on whose word we act does not have on its disk', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    blocks.isProviderThere = false;
    expect(blocks.want('promises')).toBeUndefined();
    expect(blocks.used).toHaveLength(1);
    blocks.isProviderThere = true;
    expect(blocks.want('promises')).toBe((blocks.used[0] ?? NaN) + 4);
  });

  test('a peer that knows nothing of blocks answers nothing, and none stands on its promise', () => {
    const blocks = createBlocks();
    blocks.isProviderThere = false;
    blocks.want('grantor');
    expect(blocks.want('promises')).toBeUndefined();
    expect(blocks.sent.filter(({ kind }) => kind === 'blocks')).toEqual([]);
  });

  test('a start leaves out some of the sixteen, each one again, and never comes beyond them', () => {
    const blocks = createBlocks();
    const first = blocks.want('grantor') ?? NaN;
    const second = blocks.want('promises') ?? NaN;
    blocks.start();
    expect(blocks.want('promises')).toBe(second + 4 * (SKIPPED_UNRECORDED + 1));
    for (let i = 0; i < 10; i++) {
      blocks.start();
      const next = blocks.want('promises');
      expect(next ?? 0).toBeLessThanOrEqual(first + ABOVE_RECORD);
    }
    expect(standing(blocks)).toMatchObject([{ isSpent: true }]);
  });
});

describe('after a start', () => {
  test('with an old disk it begins above what the others know', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    const old: Disk = new Map(blocks.own);
    const used = [blocks.want('promises'), blocks.want('promises')];
    blocks.start(old);
    const next = blocks.want('grantor') ?? NaN;
    expect(next).toBeGreaterThan(Math.max(...used.map((one) => one ?? NaN)));
    expect(next).toBeLessThan(Math.max(...used.map((one) => one ?? NaN)) + 8);
  });

  test('a block that lies too low is none, also where what was wanted is forgotten before the next one comes', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    const old: Disk = new Map(blocks.own);
    for (let i = 0; i < 3; i++) blocks.want('promises');
    const used = blocks.used.at(-1) ?? NaN;
    blocks.start(old);
    blocks.rest('promises');
    expect(blocks.want('grantor', 1)).toBeUndefined();
    expect(blocks.recorded).toBeLessThan(used);
    expect(blocks.want('grantor')).toBeGreaterThan(used);
  });

  test('with another party silent it leaves out all that could stand on its word, once', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    blocks.isProviderThere = false;
    blocks.start();
    const next = blocks.want('grantor') ?? NaN;
    expect(next).toBe((blocks.used[0] ?? NaN) + ABOVE_RECORD + 8);
    expect(blocks.want('grantor')).toBe(next + 4);
  });

  test('with an old disk that the others know to be old nothing stands on promises before the grantor was asked', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    const old: Disk = new Map(blocks.own);
    for (let i = 0; i < 40; i++) blocks.want('grantor');
    blocks.start(old);
    expect(blocks.want('promises')).toBeUndefined();
    const next = blocks.want('grantor') ?? NaN;
    expect(blocks.used.filter((one) => one >= next)).toEqual([next]);
    expect(blocks.want('promises')).toBe(next + 4);
  });

  test('a party that lies about what it knows costs no more than one that is silent', () => {
    const blocks = createBlocks();
    blocks.want('grantor');
    const recorded = blocks.recorded ?? NaN;
    blocks.lie = 2 ** 28 - 4;
    blocks.start();
    expect(blocks.want('grantor') ?? NaN).toBeLessThanOrEqual(recorded + ABOVE_RECORD + 8);
    expect(blocks.want('grantor') ?? NaN).toBeLessThanOrEqual(recorded + ABOVE_RECORD + 12);
  });
});

describe('what another party says of its own blocks', () => {
  const tell = (blocks: Blocks, index: number, base = index): void => {
    const body = {
      setId: terms.set.setId,
      bootId: 'x',
      epoch: 2,
      marks: [{ devAddr: DEVICE, index, base }],
    };
    const facts = {
      book: bookOf(blocks.own),
      isParty: true,
      holds: true,
      mayOwn: (slot: number) => slot === 1,
    };
    for (const effect of keepMarks(provider, body, facts))
      if (effect.type === 'keepBlocks') for (const mark of effect.marks) blocks.own.set(provider, mark);
  };
  const next = (blocks: Blocks): number => blocks.want('grantor') ?? NaN;

  test('that cannot be true costs what its silence would, once for each time that it was said, and no start says it anew', () => {
    const blocks = createBlocks();
    const before = next(blocks);
    tell(blocks, 2 ** 27 + 1);
    const lied = next(blocks);
    expect(lied).toBeLessThanOrEqual(before + ABOVE_RECORD + 12);
    expect([next(blocks), next(blocks), blocks.want('promises')]).toEqual([lied + 4, lied + 8, lied + 12]);
    blocks.start();
    const started = next(blocks);
    expect(started).toBeLessThanOrEqual(lied + 24);
    tell(blocks, 2 ** 28 - 3);
    const again = next(blocks);
    expect(again).toBeLessThanOrEqual(started + ABOVE_RECORD + 12);
    expect(next(blocks)).toBe(again + 4);
  });

  test('is believed of each time that it served, also after it has lied', () => {
    const blocks = createBlocks();
    const before = next(blocks);
    tell(blocks, before + 33);
    const above = next(blocks);
    expect(above).toBe(before + 36);
    tell(blocks, above + 41);
    expect(next(blocks)).toBe(above + 44);
  });

  test('is gone past before blocks are left out: the grantor has given one above it, that nobody else heard of', () => {
    const blocks = createBlocks();
    const before = next(blocks);
    tell(blocks, before + 33);
    const old: Disk = new Map(blocks.own);
    blocks.isProviderThere = false;
    const given = next(blocks);
    expect(given).toBe(before + 36);
    blocks.isProviderThere = true;
    blocks.start(old);
    expect(blocks.want('promises') ?? Infinity).toBeGreaterThan(given);
    expect(blocks.used.filter((one) => one === given)).toEqual([given]);
  });

  test('is recorded by the customer where it had to leave it to, and a lie of it as far as it can be true', () => {
    const blocks = createBlocks();
    const before = next(blocks);
    tell(blocks, before + 33, before - 3);
    blocks.start();
    blocks.rest('grantor');
    const recorded = blocks.recorded ?? NaN;
    expect(recorded).toBe(before + 36);
    blocks.rest('grantor');
    expect(blocks.recorded).toBe(recorded);
    tell(blocks, 2 ** 27 + 1, 2 ** 27 - 39);
    blocks.start();
    blocks.rest('grantor');
    const most = blocks.recorded ?? NaN;
    expect(most).toBeLessThanOrEqual(recorded + ABOVE_RECORD + 12);
    blocks.start();
    blocks.rest('grantor');
    expect([blocks.recorded, next(blocks)]).toEqual([most, most + 4]);
    expect(blocks.used).toEqual([before, most + 4]);
  });

  test('is looked for anew by who begins to act', () => {
    const blocks = createBlocks();
    blocks.rest('grantor');
    expect(blocks.acting().reserving.unrecorded).toBe(false);
    expect(actUnder(blocks.acting(), 2, 0).reserving.unrecorded).toBe(true);
  });
});

interface Story {
  readonly blocks: Blocks;
  copy: Disk;
  /** Of what the grantor gave: as long as a start leaves out as much, that may be. */
  missed: number;
}

const mayGive = (story: Story): boolean => story.missed <= SKIPPED_UNRECORDED - 2;

const deeds = {
  grantor(story) {
    if (!story.blocks.isProviderThere) story.missed += 1;
    if (mayGive(story)) story.blocks.want('grantor');
  },
  hasty(story) {
    if (!story.blocks.isProviderThere) story.missed += 1;
    if (mayGive(story)) story.blocks.want('grantor', 2);
  },
  promises(story) {
    if (mayGive(story)) story.blocks.want('promises');
  },
  start: ({ blocks }) => blocks.start(),
  old: ({ blocks, copy }) => blocks.start(copy),
  copy(story) {
    story.copy = new Map(story.blocks.own);
  },
  silent({ blocks }) {
    blocks.isProviderThere = false;
  },
  there(story) {
    story.blocks.isProviderThere = true;
    story.blocks.rest('promises');
    story.missed = 0;
  },
  rest: ({ blocks }) => blocks.rest('grantor'),
  lie({ blocks }) {
    blocks.lie = 2 ** 27;
  },
  truth({ blocks }) {
    blocks.lie = undefined;
  },
} satisfies Record<string, (story: Story) => void>;

test('no block is used twice, whatever starts with whichever disk, who is silent or lies', () => {
  const names = Object.keys(deeds) as (keyof typeof deeds)[];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { minLength: 5, maxLength: 40 }), (all) => {
      const story: Story = { blocks: createBlocks(), copy: new Map(), missed: 0 };
      const { blocks } = story;
      for (const name of all) {
        deeds[name](story);
        const most = (blocks.recorded ?? -1) + ABOVE_RECORD;
        expect(Math.max(-1, ...blocks.used)).toBeLessThanOrEqual(most);
        expect(new Set(blocks.used).size).toBe(blocks.used.length);
      }
    }),
    { numRuns: 150 },
  );
});

describe('who keeps blocks for another party', () => {
  const known = { devAddr: DEVICE, index: 8, base: 4, bootId: 'b1' };
  const facts = (change: Partial<KeeperFacts> = {}): KeeperFacts => ({
    ...{ book: bookOf(new Map([[customer, known]])), isParty: true, holds: true },
    mayOwn: (slot) => slot === 0,
    ...change,
  });
  const told = (index: number, base = 4, bootId = 'b1', devAddr = DEVICE) => ({
    ...{ setId: terms.set.setId, bootId, epoch: 1 },
    marks: [{ devAddr, index, base }],
  });
  const kinds = (body: ReturnType<typeof told>, change?: Partial<KeeperFacts>): string[] =>
    keepMarks(customer, body, facts(change)).map((effect) =>
      effect.type === 'blocksRefused' ? effect.reason : effect.type,
    );

  test('has them on its disk before it says so', () => {
    expect(kinds(told(12))).toEqual(['keepBlocks', 'send']);
    expect(kinds(told(8))).toEqual(['send']);
  });

  test.each([
    ['of another device', told(12, 4, 'b1', '000000ff'), {}, 'device'],
    ['of another slot', told(13), {}, 'slot'],
    ['beyond what may stand on promises', told(4 + ABOVE_RECORD + 4), {}, 'beyond'],
    ['below what the grantor has given', told(12, 16), {}, 'beyond'],
    ['that were told before, by a replay', told(4), {}, 'behind'],
    ['that another start has reserved already', told(8, 4, 'b2'), {}, 'behind'],
    ['of who does not act', told(12), { holds: false }, 'holder'],
    ['of a stranger', told(12), { isParty: false }, 'party'],
  ])('refuses those %s', (_, body, change, reason) => {
    expect(kinds(body, change)).toEqual([reason]);
  });

  test('shows them to whose they are, and to no stranger', () => {
    const body = { setId: terms.set.setId, bootId: 'b2', after: '' };
    const [shown] = showMarks(customer, body, facts());
    expect(shown).toMatchObject({
      ...{ type: 'send', to: customer },
      datagram: { kind: 'blocksShown', body: { marks: [{ devAddr: DEVICE, index: 8 }], last: true } },
    });
    expect(showMarks(provider, body, facts())).toMatchObject([
      { datagram: { body: { marks: [], last: true } } },
    ]);
    expect(showMarks(customer, body, facts({ isParty: false }))).toMatchObject([{ type: 'blocksRefused' }]);
  });
});

test('the longest datagrams about blocks leave room for a signature in 1200 bytes', () => {
  const about = { setId: 's'.repeat(64), bootId: 'b'.repeat(16) };
  const index = 2 ** 28 - 1;
  const body = {
    ...about,
    epoch: 1_000_000_000,
    marks: Array(8).fill({ devAddr: DEVICE, index, base: index }),
  };
  const shown = { ...about, after: DEVICE, marks: Array(12).fill({ devAddr: DEVICE, index }), last: false };
  for (const [kind, one] of [
    ['blocks', body],
    ['blocksShown', shown],
  ] as const) {
    expect(datagramSchemas[kind].safeParse(one).success).toBe(true);
    expect(JSON.stringify(one).length).toBeLessThan(800);
  }
});
