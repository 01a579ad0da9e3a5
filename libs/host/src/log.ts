import { pino, destination, type Logger } from 'pino';

export type Log = Logger;

/** JSON lines on stderr, so that stdout stays free for what a command answers. Secrets never enter a log call. */
export function createLog(name: string, level = 'info'): Log {
  return pino({ name, level, base: { name } }, destination({ dest: 2, sync: true }));
}

export const silentLog: Log = pino({ level: 'silent' });
