import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { z } from 'zod';
import { silentLog } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { peerOf } from '../access.ts';
import { at, shifted, type EdgeConfig } from '../config.ts';
import type { Room } from '../rooms.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

const TIMEOUT_MS = 2000;

/** What a room says of itself; undefined where it does not answer. */
export interface RoomState {
  readonly room: Room;
  readonly serviceName: string | undefined;
  readonly ready: boolean;
  /** Checks that failed, with what they say. */
  readonly faults: readonly string[];
  /** Why it does not answer. */
  readonly error?: string | undefined;
}

const readyAnswer = z.looseObject({
  serviceName: z.string(),
  ready: z.boolean(),
  checks: z.record(z.string(), z.looseObject({ ok: z.boolean(), detail: z.string().optional() })),
});

export async function askState(room: Room, config: EdgeConfig): Promise<RoomState> {
  const peer = peerOf(room, config, silentLog);
  try {
    const answer = await peer.call({ path: '/api/v3/ready', timeoutMs: TIMEOUT_MS });
    const { serviceName, ready, checks } = readyAnswer.parse(answer.json());
    const faults = Object.entries(checks).flatMap(([what, check]) =>
      check.ok ? [] : [`${what}: ${check.detail ?? 'failed'}`],
    );
    return { room, serviceName, ready, faults };
  } catch (error) {
    return { room, serviceName: undefined, ready: false, faults: [], error: describeError(error) };
  } finally {
    peer.close();
  }
}

/** Why a port cannot be listened on: the code of the system call; undefined where it can. */
export function portFault(kind: 'tcp' | 'udp', port: number, bind: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.message;
    if (kind === 'tcp') {
      const server = createServer();
      server.once('error', (error) => resolve(codeOf(error)));
      server.listen(port, bind, () => server.close(() => resolve(undefined)));
      return;
    }
    const socket = createSocket(bind.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      resolve(codeOf(error));
    });
    socket.bind(port, bind, () => socket.close(() => resolve(undefined)));
  });
}

export interface Port {
  readonly room: string;
  readonly kind: 'tcp' | 'udp';
  readonly port: number;
  readonly bind: string;
}

/** What a port that cannot be listened on means; who has it may be the room itself. */
export function judgePort({ room, kind, port, bind }: Port, code: string): Finding {
  const what = `port ${port}/${kind} of ${room}`;
  switch (code) {
    case 'EADDRINUSE':
      return problem(
        'ports',
        `${what} is taken by another program: find it (ss -lnp 'sport = :${port}') and stop it, or choose another --port-offset`,
      );
    case 'EACCES':
      return problem(
        'ports',
        `this user may not listen on ${what}: choose one over 1023, or another --port-offset`,
      );
    case 'EADDRNOTAVAIL':
      return problem(
        'ports',
        `${bind} is no address of this host: set bind to one that it has (ip address), or leave it out`,
      );
    default:
      return problem('ports', `${what} cannot be listened on: ${code}`);
  }
}

const BINDS: Readonly<Record<string, string>> = {
  peerPort: 'peerBind',
  udpPort: 'peerBind',
  'udp.port': 'udp.bind',
};

/** The ports that a room listens on here. */
export function portsOf(room: Room, config: EdgeConfig): Port[] {
  return Object.keys(room.ports).flatMap((option) => {
    const port = shifted(room, config, option);
    const section = config[room.key];
    const ownBind = at(section, (BINDS[option] ?? 'bind').split('.'));
    const general = BINDS[option] === undefined ? config.bind : '127.0.0.1';
    const bind = typeof ownBind === 'string' ? ownBind : general;
    const kind = option === 'udpPort' || option === 'udp.port' ? 'udp' : 'tcp';
    return port === 0 ? [] : [{ room: room.name, kind, port, bind } as const];
  });
}

async function checkFree(ports: readonly Port[]): Promise<Finding[]> {
  const faults = await Promise.all(
    ports.map(async (one) => [one, await portFault(one.kind, one.port, one.bind)] as const),
  );
  return faults.flatMap(([one, code]) => (code === undefined ? [] : [judgePort(one, code)]));
}

function judgeState({ room, serviceName, ready, faults }: RoomState): Finding[] {
  if (serviceName === undefined) return [];
  const isSelf = serviceName === room.name || room.key === 'deviceLora';
  if (!isSelf)
    return [
      problem(
        'ports',
        `${serviceName} answers where ${room.name} should: choose another --port-offset for one of them`,
      ),
    ];
  if (ready) return [];
  return [problem('services', `${room.name} is not ready: ${faults.join('; ') || 'it does not say why'}`)];
}

/**
 * The rooms that are up, and whether those that are down could start.
 * @param states of the rooms of this edge
 */
export async function checkRooms(config: EdgeConfig, states: readonly RoomState[]): Promise<Finding[]> {
  const down = states.filter(({ serviceName }) => serviceName === undefined);
  const up = states.length - down.length;
  const elsewhere = down.filter(({ room }) => config.services[room.key] !== undefined);
  const here = down.filter((one) => !elsewhere.includes(one));
  const findings = [
    ...states.flatMap(judgeState),
    ...elsewhere.map(({ room, error }) =>
      problem(
        'services',
        `${room.name} does not answer at ${config.services[room.key]?.url ?? ''} (${error ?? ''}): start it there, or set services.${room.key}`,
      ),
    ),
    ...(await checkFree(here.flatMap(({ room }) => portsOf(room, config)))),
  ];
  if (up === 0) return [warning('services', 'the edge is down: antirio up starts it'), ...findings];
  const missing = here.map(({ room }) => room.name);
  if (missing.length > 0)
    findings.push(
      problem(
        'services',
        `${missing.join(', ')}: not running although others are. Look at the log, and start the edge again`,
      ),
    );
  return [ok('services', `${up} of ${states.length} services answer`), ...findings];
}
