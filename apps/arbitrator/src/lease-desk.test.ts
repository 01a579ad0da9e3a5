import { beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { AntirioError, generateIdentity, parseEdgeId } from '@antirio/kernel';
import type { LeaseFacts, LeaseRequest } from '@antirio/service-contract';
import { createLeaseDesk, type LeaseDesk } from './lease-desk.ts';

const [a, b] = [parseEdgeId(generateIdentity().edgeId), parseEdgeId(generateIdentity().edgeId)];
const facts: LeaseFacts = {
  record: { epoch: 1, holder: a, released: false },
  leaseMs: 3000,
  slot: 0,
};
const request = (sequence: number, setId = 'bridge'): LeaseRequest => ({
  ...{ setId, epoch: 1, bootId: 'boot', sequence, challenge: '', reserve: [] },
});

let reading: PromiseWithResolvers<LeaseFacts>[];
let answered: string[];
let desk: LeaseDesk;
const ask = (sequence: number, from = a, setId?: string): void =>
  desk.ask({ from, request: request(sequence, setId), receivedAt: sequence });
/** The ledger answers the oldest question. */
async function answerOne(fail = false): Promise<void> {
  const read = reading.shift();
  if (fail) read?.reject(new AntirioError('timeout', 'slow'));
  else read?.resolve(facts);
  await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(() => {
  reading = [];
  answered = [];
  desk = createLeaseDesk(
    () => {
      const read = Promise.withResolvers<LeaseFacts>();
      reading.push(read);
      return read.promise;
    },
    ({ from, request: { setId, sequence } }) => {
      answered.push(`${from === a ? 'a' : 'b'}/${setId}/${sequence}`);
    },
    silentLog,
  );
});

describe('lease requests', () => {
  test('of one edge that wait for the ledger are one: the newest', async () => {
    for (const sequence of [1, 2, 4, 3]) ask(sequence);
    expect(reading).toHaveLength(1);
    await answerOne();
    expect(reading).toHaveLength(1);
    await answerOne();
    expect(answered).toEqual(['a/bridge/1', 'a/bridge/4']);
    expect([reading.length, desk.dropped()]).toEqual([0, 2]);
    ask(5);
    await answerOne();
    expect(answered).toHaveLength(3);
  });

  test('of other edges and for other sets do not wait for them', async () => {
    ask(1);
    ask(1, b);
    ask(1, a, 'other');
    expect(reading).toHaveLength(3);
    while (reading.length > 0) await answerOne();
    expect(answered.sort()).toEqual(['a/bridge/1', 'a/other/1', 'b/bridge/1']);
  });

  test('that the ledger does not answer are given up, and the next one goes', async () => {
    ask(1);
    ask(2);
    await answerOne(true);
    await answerOne();
    expect([answered, desk.dropped()]).toEqual([['a/bridge/2'], 1]);
  });

  test('are refused where too many wait', async () => {
    for (let i = 0; i < 300; i++) ask(1, a, `set-${i}`);
    expect([reading.length, desk.dropped()]).toEqual([256, 44]);
    while (reading.length > 0) await answerOne();
    ask(2, a, 'set-299');
    expect(reading).toHaveLength(1);
  });
});
