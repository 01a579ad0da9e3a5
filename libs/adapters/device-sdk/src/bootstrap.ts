import { AntirioError, describeError } from '@antirio/kernel';
import { sleep, type Check, type Log } from '@antirio/host';
import type { Cache } from './cache.ts';
import type { Changes } from './changes.ts';
import { goodOutcome, type ItemOutcome, type Kind, type Metadata } from './metadata.ts';
import type { News } from './news.ts';
import type { Provision } from './provision-files.ts';
import type { Turns } from './turns.ts';
import { unlessAborted, within } from './within.ts';

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

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 10_000;
/** For what was refused, while the service is at work. */
const LONGEST_REFUSED_MS = 60_000;
const HEARD_MS = 2000;
const CONFLICT = 409;

/** What core-metadata did not take. */
interface Refusal {
  readonly text: string;
  /** It may take it another time: nothing was wrong with what it was given, or the driver said so, who may think better of it. */
  readonly mayPass: boolean;
}

/** What is there already stays as it is; what is refused does not keep the rest from being there. */
function refusalsOf(outcomes: readonly ItemOutcome[], names: readonly string[], log: Log): Refusal[] {
  return names.flatMap((name, index): Refusal[] => {
    const { statusCode, message = `status ${statusCode}` }: ItemOutcome = outcomes[index] ?? {
      statusCode: 500,
    };
    if (statusCode === CONFLICT) log.info({ name, why: message }, 'is there already');
    if (statusCode === CONFLICT || statusCode < 300) return [];
    return [{ text: `core-metadata refuses ${name}: ${message}`, mayPass: statusCode >= 500 }];
  });
}

async function addMissing(
  { metadata, log }: Ports,
  kind: Kind,
  missing: readonly { readonly name: string }[],
): Promise<Refusal[]> {
  if (missing.length === 0) return [];
  const outcomes = await metadata.add(kind, missing);
  return refusalsOf(
    outcomes,
    missing.map(({ name }) => name),
    log,
  );
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

async function registerProfiles(ports: Ports): Promise<Refusal[]> {
  const missing = [];
  for (const profile of ports.provision.profiles)
    if ((await ports.metadata.profile(profile.name)) === undefined) missing.push(profile);
  return addMissing(ports, 'deviceprofile', missing);
}

/** Gives what was refused. */
async function attempt(ports: Ports, signal: AbortSignal): Promise<Refusal[]> {
  const { changes, heard, metadata, onRegistered, provision, serviceName } = ports;
  await metadata.ping();
  const devices = new Set((await metadata.devices(serviceName)).map(({ name }) => name));
  const watchers = new Set((await metadata.watchers(serviceName)).map(({ name }) => name));
  await registerService(ports);
  const profiles = await registerProfiles(ports);
  // a driver may add devices as soon as it starts, and core-metadata asks by the bus whether they are right
  await within(HEARD_MS, heard);
  await onRegistered();
  await unlessAborted(signal, heard);
  const refused = [
    ...profiles,
    ...(await addMissing(
      ports,
      'device',
      provision.devices().filter(({ name }) => !devices.has(name)),
    )),
    ...(await addMissing(
      ports,
      'provisionwatcher',
      provision.watchers.filter(({ name }) => !watchers.has(name)),
    )),
  ];
  if (!(await changes.refresh())) throw new AntirioError('unavailable', 'core-metadata lost the service');
  return refused;
}

/** In the order of EdgeX's SDK. */
export function bootstrap(ports: Ports): Bootstrap {
  const { log, turns } = ports;
  const stopping = new AbortController();
  const done = Promise.withResolvers<undefined>();
  let failing: string | undefined = 'not registered with core-metadata yet';
  let isDone = false;
  let refused: readonly string[] = [];
  let waking = new AbortController();
  const isStopping = (): boolean => stopping.signal.aborted;
  let running: Promise<void> | undefined;

  const registered = async (now: readonly Refusal[]): Promise<void> => {
    for (const { text } of now) if (!refused.includes(text)) log.error({ text }, 'not all is registered');
    refused = now.map(({ text }) => text);
    failing = undefined;
    isDone = true;
    ports.onDone();
    log.info({ devices: ports.cache.devices.size }, 'registered with core-metadata');
    await ports.news.idle();
    done.resolve(undefined);
  };
  const run = async (): Promise<void> => {
    for (let delay = FIRST_DELAY_MS; !isStopping(); delay *= 1.5) {
      try {
        const now = await turns.run(() => attempt(ports, stopping.signal));
        await registered(now);
        if (!now.some(({ mayPass }) => mayPass)) return;
      } catch (error) {
        const told = describeError(error);
        if (told !== failing && !isStopping()) log.warn({ error: told }, 'cannot register yet');
        failing = told;
      }
      const longest = failing === undefined ? LONGEST_REFUSED_MS : LONGEST_DELAY_MS;
      delay = Math.min(delay, longest);
      waking = new AbortController();
      await sleep(delay * (0.75 + Math.random() / 2), AbortSignal.any([stopping.signal, waking.signal]));
    }
  };
  const again = (): void => {
    waking.abort();
    running ??= run().finally(() => (running = undefined));
  };
  again();
  return {
    done: done.promise,
    isDone: () => isDone,
    check() {
      const detail = failing ?? refused[0];
      return detail === undefined ? { ok: true } : { ok: false, detail };
    },
    again,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
