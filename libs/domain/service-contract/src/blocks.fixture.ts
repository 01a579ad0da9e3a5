// One device of a customer's set, its provider and the grantor, each with a disk; what they say of blocks is carried by hand.
import type { EdgeId } from '@antirio/kernel';
import type { BlockBook, BlockMark } from './block-marks.ts';
import { terms } from './contract.fixture.ts';
import { blockIndexOf, nextBlock } from './fcnt-down.ts';
import { keepMarks, showMarks } from './mark-keeper.ts';
import { datagramSchemas, type Datagram } from './messages.ts';
import {
  actUnder,
  createActing,
  leaseNews,
  renew,
  wantBlock,
  type Acting,
  type PartyEffect,
} from './party.ts';
import type { Holder } from './reserving-state.ts';
import { askOfBlocks, onKept, onShown } from './reserving.ts';

export const DEVICE = '0000000a';
export const { customer, provider } = terms;
const TICK_MS = 50;
const TICKS = 140;

export type Disk = Map<EdgeId, BlockMark>;

export const bookOf = (disk: Disk): BlockBook => ({
  has: (devAddr) => devAddr === DEVICE,
  ofDevice: (devAddr) => (devAddr === DEVICE ? disk : new Map<EdgeId, BlockMark>()),
  all: (by) => [disk.get(by)].filter((mark) => mark !== undefined),
  parties: () => [...disk.keys()],
});

export interface Blocks {
  /** Of the customer and of its provider. */
  readonly own: Disk;
  readonly others: Disk;
  /** What the grantor has recorded; undefined where it knows nothing of the device. */
  recorded: number | undefined;
  /** Blocks that came into use, in their order. */
  readonly used: number[];
  readonly sent: Datagram[];
  readonly refused: string[];
  isProviderThere: boolean;
  /** What the provider says instead of what it knows. */
  lie: number | undefined;
  acting(): Acting;
  /** The customer starts, with the disk as it was in that copy. */
  start(disk?: Disk): void;
  /** The device needs a block, and the grantor answers or not; the one that comes into use in so many turns. */
  want(by: 'grantor' | 'promises', turns?: number): number | undefined;
  /** For a while nothing is wanted. */
  rest(by: 'grantor' | 'promises'): void;
}

export function createBlocks(): Blocks {
  let now = 100_000;
  let starts = 0;
  let requests = 0;
  let acting = createActing(terms.leaseMs, '', 0);
  const holder = (): Holder => ({
    ...{
      self: customer,
      customer,
      slot: 0,
      setId: terms.set.setId,
      others: () => [provider],
      knowers: () => [provider],
    },
    book: bookOf(blocks.own),
    keeps: true,
    now,
  });
  const facts = () => ({
    ...{ book: bookOf(blocks.others), isParty: true, holds: true },
    mayOwn: (slot: number) => slot === 0,
  });
  const atProvider = (datagram: Datagram): void => {
    if (!blocks.isProviderThere) return;
    const effects =
      datagram.kind === 'blocks'
        ? keepMarks(customer, datagram.body, facts())
        : datagram.kind === 'blocksAsked'
          ? showMarks(customer, datagram.body, facts())
          : [];
    for (const effect of effects) {
      if (effect.type === 'keepBlocks') for (const mark of effect.marks) blocks.others.set(customer, mark);
      if (effect.type === 'blocksRefused') blocks.refused.push(effect.reason);
      if (effect.type === 'send') fromProvider(effect.datagram);
    }
  };
  const fromProvider = ({ kind, body }: Datagram): void => {
    datagramSchemas[kind].parse(body);
    if (kind === 'blocksKept') acting = onKept(acting, provider, body, holder()) ?? acting;
    if (kind !== 'blocksShown') return;
    const marks = blocks.lie === undefined ? body.marks : [{ devAddr: DEVICE, index: blocks.lie }];
    acting = onShown(acting, provider, { ...body, marks }, holder()) ?? acting;
  };
  const atGrantor = (datagram: Datagram): void => {
    if (datagram.kind !== 'leaseRequest') return;
    const { reserve, ...body } = datagram.body;
    const given = reserve.map(({ devAddr, slot, above }) => {
      blocks.recorded = nextBlock(slot, Math.max(blocks.recorded ?? -1, above));
      return { devAddr, index: blocks.recorded };
    });
    const grant = { ...body, leaseMs: terms.leaseMs, blocks: given };
    const news = leaseNews(acting, terms.set.setId, { kind: 'leaseGrant', body: grant }, holder());
    if (news === undefined) return;
    acting = news.acting;
    perform(news.effects, 'grantor');
  };
  const perform = (effects: readonly PartyEffect[], by: 'grantor' | 'promises'): void => {
    for (const effect of effects) {
      if (effect.type === 'keepBlocks') for (const mark of effect.marks) blocks.own.set(customer, mark);
      if (effect.type === 'grantBlock') blocks.used.push(blockIndexOf(effect.block.first));
      if (effect.type !== 'send') continue;
      blocks.sent.push(effect.datagram);
      datagramSchemas[effect.datagram.kind].parse(effect.datagram.body);
      if (effect.to === provider) atProvider(effect.datagram);
      else if (by === 'grantor') atGrantor(effect.datagram);
    }
  };
  const turn = (by: 'grantor' | 'promises'): void => {
    now += TICK_MS;
    const lease = { ...acting.lease, until: now + 1000 };
    acting = { ...acting, lease, grantorUntil: by === 'grantor' ? now + 1000 : 0 };
    acting = { ...acting, told: by === 'grantor' ? [] : [provider] };
    const [asked, questions] = askOfBlocks(acting, holder());
    acting = asked;
    perform(questions, by);
    const [next, effects] = renew(acting, terms, () => [], now, holder());
    acting = next;
    perform(effects, by);
  };
  const blocks: Blocks = {
    ...{ own: new Map(), others: new Map(), recorded: undefined, used: [], sent: [], refused: [] },
    ...{ isProviderThere: true, lie: undefined },
    acting: () => acting,
    start(disk) {
      starts += 1;
      now += 10_000;
      if (disk !== undefined) {
        blocks.own.clear();
        for (const [by, mark] of disk) blocks.own.set(by, mark);
      }
      acting = actUnder(createActing(terms.leaseMs, `boot-${starts}`, now), 1, now);
    },
    want(by, turns = TICKS) {
      const before = blocks.used.length;
      const above = -1;
      const event = {
        type: 'counterAsked',
        requestId: String((requests += 1)),
        devAddr: DEVICE,
        above,
      } as const;
      acting = wantBlock(acting, 0, event);
      for (let i = 0; i < turns && blocks.used.length === before; i++) turn(by);
      acting = { ...acting, wanted: [] };
      return blocks.used.slice(before).at(-1);
    },
    rest(by) {
      for (let i = 0; i < TICKS; i++) turn(by);
    },
  };
  blocks.start();
  return blocks;
}
