import { describeError, type Clock, type Random } from '@antirio/kernel';
import { repeat, type Log, type Repeating, type Service } from '@antirio/host';

/** A room of this process, of which another may take the place. */
export interface Hosted {
  service: Service;
  /** Built from the same options, not started. */
  readonly build: () => Service;
}

export interface SupervisorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly rooms: readonly Hosted[];
  /** Between two looks at all rooms (default 1 s). */
  readonly intervalMs?: number;
}

/** Of one room, while it does not stay up. */
interface Trouble {
  attempts: number;
  notBefore: number;
}

const FIRST_DELAY_MS = 1000;
const LAST_DELAY_MS = 60_000;

/**
 * Starts rooms anew whose store only opening it again helps: after a failed fsync the kernel may have dropped what it could not
 * write. At once the first time, then after about 1 s, doubling to a minute for as long as it breaks again or does not start.
 */
export function superviseRooms({ clock, random, log, rooms, intervalMs = 1000 }: SupervisorPorts): Repeating {
  const troubles = new Map<Hosted, Trouble>();
  const notStarted = new Set<Hosted>();

  const delayMs = (attempts: number): number => {
    const jitter = (random.bytes(1)[0] ?? 0) / 512;
    return Math.min(FIRST_DELAY_MS * 2 ** attempts, LAST_DELAY_MS) * (0.5 + jitter);
  };
  const isDue = (room: Hosted): boolean => {
    const known = troubles.get(room);
    const now = clock.monotonic();
    if (known !== undefined && now < known.notBefore) return false;
    const attempts = known?.attempts ?? 0;
    troubles.set(room, { attempts: attempts + 1, notBefore: now + delayMs(attempts) });
    return true;
  };
  const end = async ({ service }: Hosted): Promise<void> => {
    await service.stop().catch((error: unknown) => {
      log.error({ room: service.name, error: describeError(error) }, 'did not stop');
    });
  };
  const startAnew = async (room: Hosted): Promise<void> => {
    const { name, broken } = room.service;
    log.error({ room: name, why: broken ?? 'it did not start' }, 'the room is started anew');
    notStarted.add(room);
    await end(room);
    room.service = room.build();
    try {
      await room.service.start();
    } catch (error) {
      log.error({ room: name, error: describeError(error) }, 'the room did not start');
      return;
    }
    notStarted.delete(room);
    log.info({ room: name }, 'the room is up again');
  };
  const isOver = (trouble: Trouble | undefined): boolean =>
    trouble !== undefined && clock.monotonic() > trouble.notBefore + LAST_DELAY_MS;

  return repeat('keeping the rooms up', intervalMs, log, async () => {
    for (const room of rooms) {
      const isDown = room.service.broken !== undefined || notStarted.has(room);
      if (isDown && isDue(room)) await startAnew(room);
      if (!isDown && isOver(troubles.get(room))) troubles.delete(room);
    }
  });
}
