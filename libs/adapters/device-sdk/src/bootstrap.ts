import { AntirioError, describeError } from '@antirio/kernel';
import { sleep, type Check, type Log } from '@antirio/host';
import type { Cache } from './cache.ts';
import type { Changes } from './changes.ts';
import { goodOutcome, type ItemOutcome, type Metadata } from './metadata.ts';
import type { News } from './news.ts';
import type { Provision } from './provision-files.ts';
import type { Turns } from './turns.ts';

interface Ports {
  readonly metadata: Metadata;
  readonly cache: Cache;
  readonly changes: Changes;
  readonly news: News;
  readonly turns: Turns;
  readonly log: Log;
  readonly serviceName: string;
  readonly labels: readonly string[];
  readonly baseAddress: () => string;
  readonly provision: Provision;
  /** The bus takes what it is to be told, so that core-metadata can ask whether devices are right. */
  readonly heard: Promise<void>;
  /** Each time that core-metadata knows the service: the driver's start. */
  readonly onRegistered: () => Promise<void>;
  /** Each time that it has all that the service brings. */
  readonly onDone: () => void;
}

/** Makes the service known to core-metadata, as often as it takes, and the cache what core-metadata has. */
export interface Bootstrap {
  /** Resolves when all is registered for the first time; never where the service is stopped before. */
  readonly done: Promise<void>;
  readonly isDone: () => boolean;
  check(): Check;
  /** Everything anew, in the background: core-metadata has lost the service. */
  again(): void;
  stop(): Promise<void>;
}

interface Known {
  readonly devices: ReadonlySet<string>;
  readonly watchers: ReadonlySet<string>;
}

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 10_000;
const CONFLICT = 409;

/** What is there already stays as it is; what is refused does not keep the rest from being there. */
function tellOf(outcomes: readonly ItemOutcome[], names: readonly string[], log: Log): void {
  outcomes.forEach((outcome, index) => {
    const name = names[index] ?? '';
    if (outcome.statusCode === CONFLICT) log.info({ name, why: outcome.message }, 'is there already');
    else if (outcome.statusCode >= 300) log.error({ name, why: outcome.message }, 'core-metadata refuses it');
  });
}

async function registerService({ metadata, changes, ...ports }: Ports): Promise<void> {
  const { serviceName: name, labels } = ports;
  const baseAddress = ports.baseAddress();
  const known = await metadata.service(name);
  if (known === undefined) {
    const service = { name, baseAddress, labels, adminState: 'UNLOCKED' };
    const [outcome] = await metadata.add('deviceservice', [service]);
    if (outcome?.statusCode !== CONFLICT) goodOutcome(outcome, `the service ${name}`);
    return;
  }
  const [outcome] = await metadata.patch('deviceservice', [{ name, baseAddress }]);
  goodOutcome(outcome, `the service ${name}`);
  changes.serviceIs(known);
}

async function registerProfiles({ metadata, log, provision: { profiles } }: Ports): Promise<void> {
  const missing = [];
  for (const profile of profiles) {
    const known = await metadata.profile(profile.name);
    if (known === undefined) missing.push(profile);
  }
  if (missing.length === 0) return;
  const outcomes = await metadata.add('deviceprofile', missing);
  tellOf(
    outcomes,
    missing.map(({ name }) => name),
    log,
  );
}

async function registerDevices(
  { metadata, log, provision: { devices } }: Ports,
  known: Known,
): Promise<void> {
  const missing = devices.filter(({ name }) => !known.devices.has(name));
  if (missing.length === 0) return;
  const outcomes = await metadata.add('device', missing);
  tellOf(
    outcomes,
    missing.map(({ name }) => name),
    log,
  );
}

async function registerWatchers(
  { metadata, log, provision: { watchers } }: Ports,
  known: Known,
): Promise<void> {
  const missing = watchers.filter(({ name }) => !known.watchers.has(name));
  if (missing.length === 0) return;
  const outcomes = await metadata.add('provisionwatcher', missing);
  tellOf(
    outcomes,
    missing.map(({ name }) => name),
    log,
  );
}

async function attempt(ports: Ports, signal: AbortSignal): Promise<void> {
  const { changes, heard, metadata, onRegistered, serviceName } = ports;
  await metadata.ping();
  const known: Known = {
    devices: new Set((await metadata.devices(serviceName)).map(({ name }) => name)),
    watchers: new Set((await metadata.watchers(serviceName)).map(({ name }) => name)),
  };
  await registerService(ports);
  await onRegistered();
  await registerProfiles(ports);
  await Promise.race([heard, aborted(signal)]);
  await registerDevices(ports, known);
  await registerWatchers(ports, known);
  if (!(await changes.refresh())) throw new AntirioError('unavailable', 'core-metadata lost the service');
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(new AntirioError('unavailable', 'the service stops'));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** In the order of EdgeX's SDK. */
export function bootstrap(ports: Ports): Bootstrap {
  const { log, turns } = ports;
  const stopping = new AbortController();
  const done = Promise.withResolvers<undefined>();
  let failing: string | undefined = 'not registered with core-metadata yet';
  let isDone = false;
  const isStopping = (): boolean => stopping.signal.aborted;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    for (let delay = FIRST_DELAY_MS; !isStopping(); delay = Math.min(delay * 1.5, LONGEST_DELAY_MS)) {
      try {
        await turns.run(() => attempt(ports, stopping.signal));
        failing = undefined;
        isDone = true;
        ports.onDone();
        await ports.news.idle();
        done.resolve(undefined);
        log.info({ devices: ports.cache.devices.size }, 'registered with core-metadata');
        return;
      } catch (error) {
        const told = describeError(error);
        if (told !== failing && !isStopping()) log.warn({ error: told }, 'cannot register yet');
        failing = told;
      }
      await sleep(delay * (0.75 + Math.random() / 2), stopping.signal);
    }
  };
  const again = (): void => {
    running ??= run().finally(() => (running = undefined));
  };
  again();
  return {
    done: done.promise,
    isDone: () => isDone,
    check: () => (failing === undefined ? { ok: true } : { ok: false, detail: failing }),
    again,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
