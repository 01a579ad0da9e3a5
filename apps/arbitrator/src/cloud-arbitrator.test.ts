import { describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { FACTS_KEPT } from './customer-book.ts';
import { createCustomerFollow } from './customer-follow.ts';
import { central, contractId, customer, provider, witness as cloud } from './escrow.fixture.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { countersignRoot } from './ring-roots.ts';
import { SILENT_S, SpeakerScene, rootOf, self, sister, terms } from './speaker.fixture.ts';

const scene = new SpeakerScene();
const { ask, clock, ledgerOf, names, openCloud, readyNow, round, rounds, send, servedUpTo } = scene;

describe('a customer’s cloud arbitrator', () => {
  test('is told by the edge how its contracts stand, once each, and shows it', async () => {
    countersignRoot({ identity: customer, store: scene.store, clock }, terms, rootOf(7));
    await round(true);
    await rounds(3, true);
    expect(names().filter((name) => name.startsWith('root/'))).toHaveLength(1);
    const [shown] = (await ask('get', '/arbitrator/v1/speaker', undefined)) as [object];
    expect(shown).toMatchObject({
      ...{ contractId, customer: customer.edgeId, state: 'VALIDATED', closed: false },
      edge: { unheardS: 0, appointed: { speaker: cloud.edgeId, silentMs: SILENT_S * 1000 } },
      report: { at: scene.now, value: { phase: 'guarded', beat: { sequence: 7 }, leaseBy: 'grantor' } },
    });
    expect(await ask('get', '/arbitrator/v1/speaker/:id', undefined)).toMatchObject({
      facts: expect.arrayContaining([expect.objectContaining({ name: 'epoch/1' })]),
    });
    await expect(ask('get', '/arbitrator/v1/speaker', provider.edgeId)).rejects.toThrow(/only the operator/);
  });

  test('takes nothing of an edge that is not its own, nor what is not signed, nor of others’ contracts', async () => {
    await scene.follow.look();
    const path = '/arbitrator/v1/speaker/report';
    const report = { contractId, phase: 'guarded', heard: [], roots: [rootOf(7)] };
    const tell = (by: string | undefined, changes: object = {}) =>
      ask('post', path, by, { contracts: [{ ...report, ...changes }] });
    await expect(tell(central.edgeId)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(tell(undefined)).rejects.toMatchObject({ code: 'forbidden' });
    const refused = (reason: string) => ({ taken: 0, refused: [{ reason }] });
    const root = rootOf(7);
    for (const roots of [[rootOf(7, 7, customer)], [{ ...root, body: { ...root.body, count: 6 } }]])
      expect(await tell(self, { roots })).toMatchObject(refused('a root is not the provider’s'));
    const other = { contractId: '00000000-0000-4000-8000-000000000001' };
    expect(await tell(self, other)).toMatchObject(refused('not followed yet'));
    expect(await tell(sister)).toMatchObject(refused('the contract is of another customer'));
    expect(await tell(self)).toMatchObject({ taken: 1, refused: [] });
  });

  test('knows from the ledger alone what comes after the end of its edge, and keeps it over a restart', async () => {
    await readyNow();
    await servedUpTo(50);
    await round(false);
    scene.book.close();
    openCloud();
    await round(false);
    const found = new Set(names().map((name) => name.split('/')[0]));
    expect([...found].sort()).toEqual(['activation', 'epoch', 'opening', 'statement']);
    expect(names().filter((name) => name.startsWith('statement/'))).toHaveLength(1);
    // the epoch as it was held, and as it was let go
    expect(names().filter((name) => name === 'epoch/2')).toHaveLength(2);
    scene.now += 8 * 86_400_000;
    await send(provider, { type: 'contract/close', contractId });
    await rounds(2, false);
    expect(scene.book.get(contractId)).toMatchObject({
      closed: true,
      record: { settlement: { row: 'honoured' } },
    });
  });

  test('reads again what it could not read, and follows the others where one contract is broken', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(50);
    const ledger = ledgerOf(cloud);
    let fails: string | undefined = 'opening/';
    const code = { now: 'unavailable' as 'unavailable' | 'corrupt' };
    const flaky = createCustomerFollow({
      ...{ identity: cloud, clock, log: silentLog, book: scene.book, customers: [self], peers: {} },
      submit: createPatientSubmit(ledger, { clock, random: systemRandom }),
      ledger: {
        ...ledger,
        entries: async (prefix) => {
          if (fails !== undefined && prefix.startsWith(fails)) throw new AntirioError(code.now, 'not now');
          return ledger.entries(prefix);
        },
      },
    });
    await send(central, { type: 'contract/open', contractId, root: rootOf(60), keyVersion: 1 });
    const openings = () => names().filter((name) => name.startsWith('opening/')).length;
    expect(openings()).toBe(1);
    await expect(flaky.look()).rejects.toThrow(/not now/);
    code.now = 'corrupt';
    await flaky.look();
    expect(openings()).toBe(1);
    fails = undefined;
    await flaky.look();
    expect(openings()).toBe(2);
  });

  test('keeps so much of each kind, and lets go of contracts that are over for those that live', () => {
    const put = (id: string, closed: boolean): boolean => {
      const admitted = scene.book.admit(id);
      if (admitted) scene.book.put({ contractId: id, customer: self, record: {}, closed });
      return admitted;
    };
    expect([put('a', false), put('b', true), put('c', false), put('d', false)]).toEqual([
      ...[true, true, true, false],
    ]);
    expect(scene.book.all().map(({ contractId: id }) => id)).toEqual(['a', 'c']);
    scene.book.note('a', { name: 'opening/1', at: 0, value: {} });
    for (let i = 0; i < FACTS_KEPT + 9; i++) scene.book.note('a', { name: `root/${i}`, at: i, value: { i } });
    expect(scene.book.facts('a')).toHaveLength(FACTS_KEPT + 1);
    expect(scene.book.facts('a').at(0)?.name).toBe('opening/1');
  });
});
