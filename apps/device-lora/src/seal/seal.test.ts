import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, type HttpPeer } from '@antirio/host';
import { parseDevAddr, parseDevEui, type DevEui, type SessionId } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import type { JoinedSession, JoinedState } from '../join/store.ts';
import { exportedOf, openLiveSessions, type LiveSessions } from './live-sessions.ts';
import { createSealing, type SealAnswer, type Sealing } from './sealing.ts';

const one = parseDevEui('00000000000000a1');
const two = parseDevEui('00000000000000a2');

function sessionOf(devEui: DevEui, joinNonce: number, state: JoinedState = 'former'): JoinedSession {
  return {
    ...{
      devEui,
      joinNonce,
      state,
      devNonce: joinNonce,
      joinedAt: 0,
      session: String(joinNonce) as SessionId,
    },
    devAddr: parseDevAddr(joinNonce.toString(16).padStart(8, '0')),
    nwkSKey: new Uint8Array(16).fill(joinNonce),
    appSKey: new Uint8Array(16).fill(joinNonce + 100),
  };
}
const noncesOf = (sessions: readonly { readonly devAddr: string }[]): number[] =>
  sessions.map(({ devAddr }) => Number.parseInt(devAddr, 16));

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('a provider is given the newest sessions of each device, and the one in use', () => {
  const ofOne = [1, 2, 3, 4, 5].map((n) => sessionOf(one, n, n === 1 ? 'current' : 'offered'));
  expect(noncesOf(exportedOf([...ofOne, sessionOf(two, 9, 'offered')]))).toEqual([1, 3, 4, 5, 9]);
});

describe('the file', () => {
  const path = (): string => join(folder, 'live.json');
  const written = (): { serial: number; sessions: { devAddr: string }[] } =>
    JSON.parse(readFileSync(path(), 'utf8')) as { serial: number; sessions: { devAddr: string }[] };

  test('is there once something joined, for the user alone, with a number that only rises', () => {
    const db = openStore(join(folder, 'lora.db'));
    let joined: JoinedSession[] = [];
    const open = (): LiveSessions =>
      openLiveSessions({ db, path: path(), joined: () => joined, used: () => [] });
    const live = open();
    expect([live.refresh(), live.serial]).toEqual([0, 0]);
    joined = [sessionOf(one, 1, 'offered')];
    expect(live.refresh()).toBe(1);
    expect(live.refresh()).toBe(1);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    // two joins, one version; and a state that changes no keys is none
    joined = [sessionOf(one, 1), sessionOf(one, 2, 'current'), sessionOf(two, 3, 'offered')];
    expect(live.refresh()).toBe(2);
    joined = [sessionOf(one, 1), sessionOf(one, 2, 'current'), sessionOf(two, 3, 'current')];
    expect(live.refresh()).toBe(2);
    // killed between the number and the file
    rmSync(path());
    expect(open().serial).toBe(2);
    expect([written().serial, noncesOf(written().sessions)]).toEqual([2, [1, 2, 3]]);
    db.close();
  });
});

describe('sealing', () => {
  const devAddr = parseDevAddr('01000001');
  let sealing: Sealing | undefined;
  afterEach(() => sealing?.stop());

  /** An arbitrator that answers these in turn, the last one for good. */
  function withAnswers(...answers: (SealAnswer | Error)[]) {
    let asked = 0;
    const arbitrator: HttpPeer = {
      call: () => {
        const answer = answers[Math.min(asked++, answers.length - 1)];
        if (answer instanceof Error) return Promise.reject(answer);
        return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1), json: () => answer });
      },
      close: () => undefined,
    };
    let refreshed = 0;
    const live: LiveSessions = {
      serial: 4,
      refresh() {
        refreshed += 1;
        return 4;
      },
    };
    sealing = createSealing({
      ...{ arbitrator, live, clock: systemClock, log: silentLog, askEveryMs: 5, lookEveryMs: 60_000 },
    });
    return { sealing, asked: () => asked, refreshed: () => refreshed };
  }
  const lacking = (waits: boolean): SealAnswer['unsealed'] => [
    { devEui: one, devAddr, contractId: 'c', waits, why: 'on its way' },
  ];
  const soon = (ms = 2000): number => systemClock.monotonic() + ms;

  test('a join waits until the provider has the session', async () => {
    const all = { serial: 4, protected: [one], unsealed: [] };
    const { sealing: it, asked } = withAnswers(
      // what was asked before this join came says nothing of it
      { ...all, serial: 3 },
      { ...all, unsealed: lacking(true) },
      all,
    );
    expect(await it.seal({ devEui: one, devAddr }, soon())).toBe('sealed');
    expect(asked()).toBeGreaterThanOrEqual(3);
    expect([it.stateOf(one, devAddr), it.unsealed(), it.counts().sealed]).toEqual(['sealed', [], 1]);
  });

  test('each join is in the file before it is asked for, several at a time together', async () => {
    const { sealing: it, refreshed } = withAnswers({ serial: 4, protected: [one, two], unsealed: [] });
    await it.seal({ devEui: one, devAddr }, soon());
    expect(refreshed()).toBe(1);
    await Promise.all([one, two].map((devEui) => it.seal({ devEui, devAddr }, soon())));
    expect(refreshed()).toBe(2);
  });

  test('one of a device that no contract is about waits for nothing', async () => {
    const { sealing: it } = withAnswers({ serial: 0, protected: [two], unsealed: [] });
    expect(await it.seal({ devEui: one, devAddr }, soon())).toBe('unprotected');
  });

  test('where the provider cannot have it now, or in time, or nobody answers, the device is unsealed, and shown so', async () => {
    const now = withAnswers({ serial: 4, protected: [one], unsealed: lacking(false) });
    expect(await now.sealing.seal({ devEui: one, devAddr }, soon())).toBe('unsealed');
    expect(now.sealing.stateOf(one, devAddr)).toBe('unsealed');
    await now.sealing.stop();
    const late = withAnswers({ serial: 4, protected: [one], unsealed: lacking(true) });
    expect(await late.sealing.seal({ devEui: one, devAddr }, soon(40))).toBe('unsealed');
    expect(late.sealing.unsealed()).toEqual([{ devEui: one, why: 'on its way' }]);
    await late.sealing.stop();
    const down = withAnswers(new Error('refused'));
    expect(await down.sealing.seal({ devEui: one, devAddr }, soon())).toBe('unsealed');
    expect(down.sealing.counts()).toEqual({ sealed: 0, unprotected: 0, unsealed: 1 });
  });
});
