import { afterEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor, type Repeating, type Service } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { superviseRooms, type Hosted } from './supervisor.ts';

interface Room extends Hosted {
  readonly calls: string[];
}

let supervisor: Repeating | undefined;
let now = 0;
afterEach(() => supervisor?.stop());

const supervise = (rooms: readonly Hosted[]): void => {
  now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  const random = { bytes: (length: number) => new Uint8Array(length) };
  supervisor = superviseRooms({ clock, random, log: silentLog, rooms, intervalMs: 1 });
};
const called = (room: Room, count: number): Promise<unknown> =>
  waitFor(systemClock, 2000, () => room.calls.length >= count || undefined);
const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

function createRoom(start: (life: number) => Promise<void>): Room {
  const calls: string[] = [];
  const life = (n: number): Service & { broken: string | undefined } => ({
    name: 'room',
    broken: n === 0 ? 'fdatasync failed' : undefined,
    start() {
      calls.push(`start ${n}`);
      return start(n);
    },
    stop() {
      calls.push(`stop ${n}`);
      return Promise.resolve();
    },
    health: () => ({}),
  });
  let built = 0;
  return {
    calls,
    service: life(0),
    build() {
      built += 1;
      return life(built);
    },
  };
}

test('a room whose store broke is stopped, built again and started; one that is well is left alone', async () => {
  const broken = createRoom(() => Promise.resolve());
  const well = createRoom(() => Promise.resolve());
  well.service = well.build();
  supervise([broken, well]);
  await called(broken, 2);
  await turns();
  expect(broken.calls).toEqual(['stop 0', 'start 1']);
  expect(well.calls).toEqual([]);
});

test('one that does not start is tried again, each time later', async () => {
  const room = createRoom((n) =>
    n < 4 ? Promise.reject(new AntirioError('unavailable', 'no disk')) : Promise.resolve(),
  );
  supervise([room]);
  await called(room, 2);
  for (const [delayMs, calls] of [
    [500, 4],
    [1000, 6],
    [2000, 8],
  ] as const) {
    now += delayMs - 1;
    await turns();
    expect(room.calls).toHaveLength(calls - 2);
    now += 1;
    await called(room, calls);
  }
  now += 100_000;
  await turns();
  expect(room.calls).toEqual([0, 1, 2, 3].flatMap((n) => [`stop ${n}`, `start ${n + 1}`]));
});

test('no two attempts are further apart than a minute', async () => {
  const room = createRoom(() => Promise.reject(new AntirioError('unavailable', 'no disk')));
  supervise([room]);
  for (let attempt = 1; attempt <= 12; attempt++) {
    await called(room, 2 * attempt);
    now += 60_000;
  }
});
