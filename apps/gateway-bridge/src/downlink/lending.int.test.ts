import { expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import { ONE, TWO, call, downlink, putRing, startEdge, uplink, type Edge } from '../test-edge.ts';
import { rxpkOf } from '../test-gateway.ts';

const CONTRACT = 'contract-1';
const windows = [2.4, 2.8].map((seconds) => ({
  ...{ delayUs: seconds * 1e6, frequency: 868_100_000, power: 14, bandwidth: 125_000, spreadingFactor: 7 },
}));

/** A provider's edge, whose gateway has heard an uplink of its customer's. */
async function startProvider(): Promise<{ edge: Edge; heard: string }> {
  const edge = await startEdge('b');
  await putRing(edge, CONTRACT, { deliver: false });
  await edge.gateway.pull();
  await call(edge, 'POST', '/fence/set/close', { devAddrs: [ONE] });
  const heard = uplink(ONE, 7);
  await edge.gateway.push([rxpkOf(heard, 1_000_000)]);
  return { edge, heard: toHex(heard) };
}

const offer = async ({ edge, heard }: Awaited<ReturnType<typeof startProvider>>): Promise<string> =>
  ((await call(edge, 'POST', `/ring/${CONTRACT}/lent/offer`, { phyPayload: heard })) as { offer: string })
    .offer;

const send = (edge: Edge, name: string, frame: Uint8Array, change: object = {}): Promise<unknown> => {
  const loan = { offer: name, epoch: 1, slot: 0, fcnt: 3, phyPayload: toHex(frame), windows };
  return call(edge, 'POST', `/ring/${CONTRACT}/lent/send`, { ...loan, ...change });
};

test('a lent downlink leaves in the windows of the uplink, though the fence of its set is shut', async () => {
  const provider = await startProvider();
  const { edge } = provider;
  const name = await offer(provider);
  expect(await send(edge, name, downlink(3))).toEqual({ status: 'OK' });
  expect(edge.gateway.downlinks[0]?.txpk).toMatchObject({ imme: false, tmst: 1_000_000 + 2_400_000 });
  expect(await call(edge, 'GET', '/fence/set')).toMatchObject({ open: false, counters: { [ONE]: 3 } });
  // for one downlink only
  await expect(send(edge, name, downlink(3))).rejects.toMatchObject({ code: 'gone' });
});

test('counters, blocks, epochs and devices that are not what was lent are refused', async () => {
  const provider = await startProvider();
  const { edge } = provider;
  const again = async (frame: Uint8Array, change: object = {}): Promise<unknown> =>
    send(edge, await offer(provider), frame, change);
  expect(await again(downlink(3), { slot: 1 })).toMatchObject({ refused: 'noBlock' });
  expect(await again(downlink(3), { fcnt: 4 })).toMatchObject({ refused: 'noBlock' });
  await expect(again(downlink(3, 'x', TWO))).rejects.toMatchObject({ code: 'forbidden' });
  expect(await again(uplink(ONE, 3))).toMatchObject({ refused: 'notDataDownlink' });
  const late = [{ ...windows[0], delayUs: 5e6 }];
  expect(await again(downlink(3), { windows: late })).toMatchObject({ refused: 'tooFarAhead' });
  expect(await again(downlink(3))).toEqual({ status: 'OK' });
  expect(await again(downlink(3, 'other'))).toMatchObject({ refused: 'counterReused' });
  const acts = { devAddrs: [ONE], epoch: 2, slot: 1, actFrom: 0, actUntil: 1e12 };
  await call(edge, 'PUT', '/fence/set', acts);
  expect(await again(downlink(4), { fcnt: 4, epoch: 2 })).toMatchObject({ refused: 'weAct' });
  await call(edge, 'POST', '/fence/set/close');
  expect(await again(downlink(4), { fcnt: 4, epoch: 1 })).toMatchObject({ refused: 'olderEpoch' });
  expect(edge.gateway.downlinks).toHaveLength(1);
});

test('windows of what no gateway of ours heard are not offered', async () => {
  const provider = await startProvider();
  const unheard = { ...provider, heard: toHex(uplink(ONE, 8)) };
  await expect(offer(unheard)).rejects.toMatchObject({ code: 'notFound' });
});

test('the customer’s own fence has its say, and marks the counter', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'own');
  const lend = (fcnt: number, payload = 'down', aheadMs = 900): Promise<unknown> =>
    call(edge, 'POST', '/fence/set/lend', { phyPayload: toHex(downlink(fcnt, payload)), aheadMs });
  await expect(lend(3)).rejects.toMatchObject({ code: 'notFound' });
  const acts = { devAddrs: [ONE], epoch: 2, slot: 0, actFrom: 0, actUntil: 1e12 };
  await call(edge, 'PUT', '/fence/set', acts);
  await expect(lend(3)).rejects.toThrow(/noBlock/);
  await call(edge, 'PUT', '/fence/set/block', { devAddr: ONE, first: 0, last: 15 });
  expect(await lend(3)).toMatchObject({ fcnt: 3, epoch: 2 });
  await expect(lend(3, 'other')).rejects.toThrow(/counterReused/);
  await expect(lend(4, 'x', 4000)).rejects.toThrow(/tooFarAhead/);
  await call(edge, 'POST', '/fence/set/close');
  await expect(lend(5)).rejects.toThrow(/shut/);
  expect(edge.gateway.downlinks).toEqual([]);
  await waitFor(systemClock, 10, () => true);
});
