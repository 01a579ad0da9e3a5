import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import type { Check } from '@antirio/host';
import type { Room } from '../core-data.ts';
import { createForwarder, type Forwarder, type ForwardingState, type ForwardingStatus } from './forwarder.ts';
import type { CoreDataOptions } from '../options.ts';
import {
  forwardingLogin,
  openRuleStore,
  type ForwardingLogin,
  type ForwardingRule,
  type StoredRule,
} from './rules.ts';

/** What becomes of stored events elsewhere: rules, each with a forwarder of its own. */
export interface Forwarding {
  all(): (ForwardingStatus & { readonly rule: ForwardingRule })[];
  /** @throws AntirioError notFound */
  get(id: string): ForwardingStatus & { readonly rule: ForwardingRule };
  /**
   * Begins, goes on with what is on the disk, or takes another login; a rule that says something else goes on from where the other was.
   * @throws AntirioError busy when there are too many
   */
  put(id: string, rule: ForwardingRule, login: ForwardingLogin | undefined): Promise<void>;
  /** No more is taken on; what has arrived is still sent. @throws AntirioError notFound */
  end(id: string): void;
  /** @throws AntirioError notFound */
  remove(id: string): Promise<void>;
  /** Of the device nothing that arrived up to there is still to be sent; Infinity where nothing is to be. */
  doneThrough(device: string): number;
  /** Whether a receiver has taken the event of the device that has this place. */
  isTaken(device: string, place: number): boolean;
  /** The same as long as `doneThrough` and `isTaken` say the same. */
  state(): string;
  check(): Check;
  stop(): Promise<void>;
}

const TROUBLED: ReadonlySet<ForwardingState> = new Set(['waiting', 'notAllowed', 'revoked']);
const MOST = 64;
const NONE = { sent: 0, refused: 0, dropped: 0 } as const;

interface Held {
  readonly rule: ForwardingRule;
  readonly forwarder: Forwarder;
}

/** @throws AntirioError badConfig */
function loginIn(path: string): ForwardingLogin {
  try {
    return forwardingLogin.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot use the login in ${path}`, { path }, cause);
  }
}

/** What the configuration says is forwarded; rules of others stay. @throws AntirioError badConfig */
export async function configureForwarding(
  forwarding: Forwarding,
  { forwarding: wanted }: Pick<CoreDataOptions, 'forwarding'>,
): Promise<void> {
  for (const [id, { rule, loginFile }] of Object.entries(wanted))
    await forwarding.put(id, rule, loginFile === undefined ? undefined : loginIn(loginFile));
}

export function openForwarding({ options, ports, store: events }: Room): Forwarding {
  const { arrivals, reader } = events;
  const store = openRuleStore(join(options.dataDir, 'core-data', 'forwarding.db'));
  const parts = {
    ...{ arrivals, reader, store },
    settled: () => events.settled(),
    clock: ports.clock,
    random: ports.random,
    log: ports.log,
  };
  // what others have this edge forward may not go to its own networks; what its own configuration says may
  const begun = (stored: StoredRule): Held => {
    const isOwn = options.forwarding[stored.id]?.rule.url === stored.rule.url;
    const hosts = isOwn ? undefined : options.forwardingHosts;
    return { rule: stored.rule, forwarder: createForwarder(stored, { ...parts, hosts }) };
  };
  const held = new Map<string, Held>();
  let changes = 0;
  for (const stored of store.all()) held.set(stored.id, begun(stored));
  const must = (id: string): Held => {
    const found = held.get(id);
    if (found === undefined) throw new AntirioError('notFound', `nothing is forwarded as ${id}`);
    return found;
  };
  const concerned = (device: string): Held[] =>
    [...held.values()].filter(({ rule }) => device.startsWith(rule.devicePrefix));
  const begin = async ({ from }: ForwardingRule): Promise<number> =>
    from === 'now' ? arrivals.newest() : Math.max(0, ((await arrivals.oldest()) ?? 1) - 1);
  const shown = ({ rule, forwarder }: Held): ForwardingStatus & { readonly rule: ForwardingRule } => ({
    ...forwarder.status(),
    rule,
  });
  const renew = async (id: string, rule: ForwardingRule, known: Held | undefined): Promise<void> => {
    changes += 1;
    const before = known?.forwarder.status();
    await known?.forwarder.stop();
    const { sent, refused, dropped } = before ?? NONE;
    // one that has ended begins again with what comes now
    const cursor = before === undefined || before.state === 'ended' ? await begin(rule) : before.cursor;
    // what the one before has sent is with another receiver, perhaps
    const since = cursor;
    const stored = { id, rule, progress: { cursor, sent, refused, dropped, since, notTaken: [] } };
    store.put(stored);
    held.set(id, begun(stored));
    changes += 1;
  };
  return {
    all: () => [...held.values()].map(shown),
    get: (id) => shown(must(id)),
    async put(id, rule, login) {
      const known = held.get(id);
      if (known === undefined && held.size >= MOST)
        throw new AntirioError('busy', `${MOST} rules of forwarding are all that there may be`);
      const same = known !== undefined && JSON.stringify(known.rule) === JSON.stringify(rule);
      if (!same || known.forwarder.status().state === 'ended') await renew(id, rule, known);
      must(id).forwarder.login(login);
    },
    end: (id) => must(id).forwarder.endAt(arrivals.newest()),
    async remove(id) {
      const { forwarder } = must(id);
      held.delete(id);
      changes += 1;
      await forwarder.stop();
      store.remove(id);
    },
    doneThrough: (device) => Math.min(...concerned(device).map(({ forwarder }) => forwarder.doneThrough())),
    isTaken: (device, place) => concerned(device).some(({ forwarder }) => forwarder.hasTaken(place)),
    state: () => [changes, ...[...held.values()].map(({ forwarder }) => forwarder.doneThrough())].join(' '),
    check() {
      const told = [...held.values()].map(({ forwarder }) => forwarder.status());
      const troubled = told.filter(({ state }) => TROUBLED.has(state));
      // storing goes on whatever becomes of them elsewhere
      return {
        ok: true,
        ...(troubled.length === 0
          ? {}
          : {
              detail: troubled.map(({ id, state, lastError }) => `${id} ${state}: ${lastError}`).join('; '),
            }),
      };
    },
    async stop() {
      await Promise.all([...held.values()].map(({ forwarder }) => forwarder.stop()));
      store.close();
    },
  };
}
