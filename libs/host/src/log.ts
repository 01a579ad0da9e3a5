import { pino, destination, type DestinationStream, type Logger } from 'pino';
import { currentCorrelation } from './correlation.ts';

export type Log = Logger;

const withCurrent = (): object => {
  const correlationId = currentCorrelation();
  return correlationId === undefined ? {} : { correlationId };
};

/**
 * JSON lines on stderr, so that stdout stays free for what a command answers; with the `correlationId` of the request that they are
 * about. Secrets never enter a log call.
 */
export function createLog(name: string, level = 'info', to?: DestinationStream): Log {
  const options = { name, level, base: { name }, mixin: withCurrent };
  return pino(options, to ?? destination({ dest: 2, sync: true }));
}

export const silentLog: Log = pino({ level: 'silent' });
