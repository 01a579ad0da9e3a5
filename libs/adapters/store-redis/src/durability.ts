import type { Command } from './commands.ts';

export interface Durability {
  /** Why what is acknowledged could be lost; undefined where it could not. */
  readonly fault: string | undefined;
  /** Each commit has to be followed by `WAITAOF`: the server answers before it has synced. */
  readonly usesWaitAof: boolean;
}

type Ask = (command: Command) => Promise<unknown>;

const WAITAOF_SINCE = [7, 2] as const;

const sure = { fault: undefined, usesWaitAof: false };
const faulty = (fault: string): Durability => ({ fault, usesWaitAof: false });

async function setting(ask: Ask, name: string): Promise<string> {
  const [, value] = (await ask(['CONFIG', 'GET', name])) as readonly Buffer[];
  return value?.toString() ?? '';
}

async function knowsWaitAof(ask: Ask): Promise<boolean> {
  const info = String(await ask(['INFO', 'server']));
  const [, major = '0', minor = '0'] = /redis_version:(\d+)\.(\d+)/.exec(info) ?? [];
  const [sinceMajor, sinceMinor] = WAITAOF_SINCE;
  return Number(major) > sinceMajor || (Number(major) === sinceMajor && Number(minor) >= sinceMinor);
}

/** What the settings say of a kill or a power cut. @throws what `ask` throws, also where the server does not tell its settings. */
export async function durabilityOf(ask: Ask): Promise<Durability> {
  if ((await setting(ask, 'appendonly')) !== 'yes')
    return faulty('it keeps no append-only file: set `appendonly yes` and `appendfsync always`');
  const evicts = await setting(ask, 'maxmemory-policy');
  if (evicts !== 'noeviction' && (await setting(ask, 'maxmemory')) !== '0')
    return faulty(
      `it throws keys away when its memory is full (${evicts}): set \`maxmemory-policy noeviction\``,
    );
  const always = (await setting(ask, 'appendfsync')) === 'always';
  if (always && (await setting(ask, 'no-appendfsync-on-rewrite')) === 'no') return sure;
  if (await knowsWaitAof(ask)) return { ...sure, usesWaitAof: true };
  return faulty(
    always
      ? 'it does not sync while it rewrites its file: set `no-appendfsync-on-rewrite no`'
      : 'it answers before it has synced: set `appendfsync always`, or run Redis 7.2 or newer',
  );
}
