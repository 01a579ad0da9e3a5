import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { parseInput, repeat, type Bus, type Log, type Repeating, type Subscription } from '@antirio/host';
import { secretsSchema, type Secrets } from './options.ts';

const controlSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('activate'), secretsFile: z.string().min(1) }),
  z.object({ type: z.literal('standdown') }),
]);

/** What the orchestrator tells the service on the bus. */
export type ControlMessage = z.output<typeof controlSchema>;

/** The keys themselves never appear in the error. @throws AntirioError badConfig */
export function readSecrets(path: string): Secrets {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    throw new AntirioError(
      'badConfig',
      `cannot read the secrets file ${path}${typeof code === 'string' ? ` (${code})` : ''}`,
    );
  }
  const parsed = secretsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => issue.path.join('.') || '(whole)');
  throw new AntirioError('badConfig', `the secrets file ${path} is wrong at ${paths.join(', ')}`);
}

export interface ControlPorts {
  readonly bus: Bus;
  readonly prefix: string;
  readonly serviceName: string;
  /** Told apart from another version of the service, which has the other name or none. */
  readonly instance?: string | undefined;
  readonly log: Log;
  /** One at a time. */
  readonly onControl: (message: ControlMessage) => Promise<void>;
  readonly status: () => unknown;
}

export interface Control {
  /** Tells the status now. */
  tell(): void;
  close(): Promise<void>;
}

const STATUS_MS = 1000;

/** Listens for what the service is to do, and tells what it does: at each change and every second. */
export async function openControl({
  bus,
  prefix,
  serviceName,
  instance,
  log,
  onControl,
  status,
}: ControlPorts): Promise<Control> {
  const base = `${prefix}antirio/service/${serviceName}${instance === undefined ? '' : `/${instance}`}`;
  const onMessage = async (_topic: string, payload: Uint8Array): Promise<void> => {
    try {
      await onControl(parseInput(controlSchema, JSON.parse(fromUtf8(payload))));
    } catch (error) {
      log.error({ error: describeError(error) }, 'a control message that cannot be followed');
    }
    telling.poke();
  };
  const publish = (): Promise<void> =>
    bus.publish(`${base}/status`, JSON.stringify(status()), { retain: true });
  const subscription: Subscription = await bus.subscribe(`${base}/control`, onMessage);
  const telling: Repeating = repeat('telling the status', STATUS_MS, log, publish);
  return {
    tell: () => telling.poke(),
    async close() {
      await subscription.close();
      await telling.stop();
    },
  };
}
