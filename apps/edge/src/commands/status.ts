import { z } from 'zod';
import { silentLog } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { peerOf } from '../access.ts';
import { urlOf, type EdgeConfig } from '../config.ts';
import type { Room } from '../rooms.ts';
import { textTable } from '../text-table.ts';

const readyAnswer = z.looseObject({
  ready: z.boolean(),
  checks: z.record(z.string(), z.looseObject({ ok: z.boolean(), detail: z.string().optional() })),
});

interface RoomStatus {
  readonly room: string;
  readonly url: string;
  readonly state: 'ready' | 'not ready' | 'down';
  readonly detail: string;
}

const TIMEOUT_MS = 2000;

async function ask(room: Room, config: EdgeConfig): Promise<RoomStatus> {
  const url = urlOf(room, config);
  const peer = peerOf(room, config, silentLog);
  try {
    const { ready, checks } = readyAnswer.parse(
      (await peer.call({ path: '/api/v3/ready', timeoutMs: TIMEOUT_MS })).json(),
    );
    const told = Object.entries(checks).filter(([, { ok, detail }]) => !ok || detail !== undefined);
    const detail = told
      .map(([what, check]) => `${what}: ${check.detail ?? (check.ok ? 'ok' : 'failed')}`)
      .join('; ');
    return { room: room.name, url, state: ready ? 'ready' : 'not ready', detail };
  } catch (error) {
    return { room: room.name, url, state: 'down', detail: describeError(error) };
  } finally {
    peer.close();
  }
}

/** Asks every room how it is. Gives 0 when all are ready, else 1. */
export async function status(config: EdgeConfig, rooms: readonly Room[], json: boolean): Promise<number> {
  const services = await Promise.all(rooms.map((room) => ask(room, config)));
  const ok = services.every(({ state }) => state === 'ready');
  const rows = services.map(({ room, url, state, detail }) => [room, state, url, detail]);
  const text = json
    ? JSON.stringify({ ok, services })
    : textTable([['ROOM', 'STATE', 'URL', 'DETAIL'], ...rows]);
  process.stdout.write(`${text}\n`);
  return ok ? 0 : 1;
}
