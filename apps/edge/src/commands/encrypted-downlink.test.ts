import { expect, test } from '@jest/globals';
import type { HttpCall } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { sendEncrypted, type EncryptedWay } from './encrypted-downlink.ts';

const wanted = { payload: '0a0b', fPort: 5, confirmed: false, waitMs: 10_000 };

/** A serving edge that names 1, 2, 3... and answers the rest in turn. */
function openScene(answers: (object | Error)[], refused: readonly number[] = [], lostNames: Error[] = []) {
  const calls: HttpCall[] = [];
  const now = { ms: 0, named: 0, ids: 0 };
  const way: EncryptedWay = {
    devEui: '00000000000000aa',
    ask(call) {
      calls.push(call);
      const lostName = call.path === '/counter' ? lostNames.shift() : undefined;
      if (lostName !== undefined) return Promise.reject(lostName);
      if (call.path === '/counter') {
        now.named += 1;
        return Promise.resolve({ counter: { session: 's', fCntDown: now.named } });
      }
      const answer = answers.shift() ?? {};
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ downlink: answer });
    },
    encrypt: ({ fCntDown }, payload) =>
      refused.includes(fCntDown)
        ? Promise.reject(new AntirioError('conflict', 'used already'))
        : Promise.resolve(`${payload}${fCntDown}`),
    requestId: () => `r${(now.ids += 1)}`,
    wait: (ms) => Promise.resolve(void (now.ms += ms)),
    now: () => now.ms,
  };
  return { way, calls, named: () => now.named };
}
const queued = { state: 'queued', confirmed: false };
const sent = { state: 'sent', confirmed: false };
const passed = { state: 'failed', confirmed: false, encryptAgain: true };

test('it is encrypted for the counter that was named, and followed to its end', async () => {
  const { way, calls } = openScene([queued, queued, sent]);
  expect(await sendEncrypted(way, wanted)).toMatchObject({ state: 'sent' });
  expect(calls.map(({ method = 'GET', path }) => `${method} ${path}`)).toEqual([
    'POST /counter',
    'POST ',
    'GET ?devEui=00000000000000aa&session=s&fCntDown=1',
    'GET ?devEui=00000000000000aa&session=s&fCntDown=1',
  ]);
  expect(calls[1]?.json).toEqual({
    ...{
      devEui: '00000000000000aa',
      session: 's',
      fCntDown: 1,
      payload: '0a0b1',
      fPort: 5,
      confirmed: false,
    },
  });
});

test('where its counter was passed it is encrypted for another, three in all', async () => {
  const gone = new AntirioError('gone', 'passed');
  const again = openScene([queued, passed, gone, sent]);
  expect(await sendEncrypted(again.way, wanted)).toMatchObject({ state: 'sent' });
  const never = openScene([passed, passed, passed, sent]);
  expect(await sendEncrypted(never.way, wanted)).toMatchObject({ encryptAgain: true });
  expect(never.named()).toBe(3);
  const used = openScene([sent], [1, 2]);
  expect(await sendEncrypted(used.way, wanted)).toMatchObject({ state: 'sent' });
  expect(used.named()).toBe(3);
  await expect(sendEncrypted(openScene([], [1, 2, 3]).way, wanted)).rejects.toThrow(
    /3 counters could be had.*: used already/,
  );
});

test('an answer that was lost is asked for by the same words; nothing is sent twice where it is not known', async () => {
  const lost = new AntirioError('timeout', 'no answer');
  const scene = openScene([lost, queued, lost, sent], [], [lost]);
  expect(await sendEncrypted(scene.way, wanted)).toMatchObject({ state: 'sent' });
  expect(scene.calls.slice(0, 2).map(({ json }) => json)).toEqual([
    { devEui: '00000000000000aa', requestId: 'r1' },
    { devEui: '00000000000000aa', requestId: 'r1' },
  ]);
  const cut = openScene([queued, lost, lost, lost]);
  await expect(sendEncrypted(cut.way, wanted)).rejects.toMatchObject({ code: 'timeout' });
  expect(cut.named()).toBe(1);
  const ended = openScene([queued, new AntirioError('conflict', 'serves no more')]);
  await expect(sendEncrypted(ended.way, wanted)).rejects.toMatchObject({ code: 'conflict' });
  expect(ended.named()).toBe(1);
});
